-- +goose Up

-- Numbers whose calls are held off for a while because of nuisance: proposed by one person, approved by another, for some days.
CREATE TABLE call_block (
	id            TEXT   PRIMARY KEY,
	number_hash   TEXT   NOT NULL,
	number_sealed BYTEA  NOT NULL,
	reason        TEXT   NOT NULL,
	call_id       TEXT   NOT NULL,            -- the call that was the last straw
	days          BIGINT NOT NULL,
	proposed_by   TEXT   NOT NULL,
	proposed_at   BIGINT NOT NULL,
	decided_by    TEXT   NOT NULL DEFAULT '',
	decided_at    BIGINT,
	approved      BOOLEAN NOT NULL DEFAULT FALSE,
	expires       BIGINT,                     -- of an approved one
	lifted_by     TEXT   NOT NULL DEFAULT '',
	lifted_at     BIGINT,
	lifted_why    TEXT   NOT NULL DEFAULT '',
	hits          BIGINT NOT NULL DEFAULT 0   -- calls that it held off
);
CREATE INDEX call_block_number ON call_block (number_hash);
CREATE INDEX call_number ON call (number_hash, started);

-- +goose Down
DROP INDEX call_number;
DROP TABLE call_block;
