-- +goose Up
-- Papers of a matter, such as the agreement of a mediation. What a row holds is never changed (its sum stands in the log): another
-- paper is another version. sealed is NULL once the words of the ticket it belongs to were erased.
CREATE TABLE oversee_paper (
	id        TEXT   PRIMARY KEY,
	matter_id TEXT   NOT NULL REFERENCES oversee_matter (id),
	version   BIGINT NOT NULL,
	media     TEXT   NOT NULL,
	sum       TEXT   NOT NULL, -- SHA-256 of the paper
	sealed    BYTEA,
	at        BIGINT NOT NULL,
	UNIQUE (matter_id, version)
);

-- +goose Down
DROP TABLE oversee_paper;
