-- +goose Up

-- Marks of numbers that flows of the hotline ask for.
CREATE TABLE contact_flag (
	id         TEXT   PRIMARY KEY,
	phone_hash TEXT   NOT NULL,
	flag       TEXT   NOT NULL,
	reason     TEXT   NOT NULL,
	by_actor   TEXT   NOT NULL,
	at         BIGINT NOT NULL,
	until      BIGINT,                    -- NULL: until lifted
	lifted     BIGINT
);
CREATE INDEX contact_flag_phone ON contact_flag (phone_hash);

-- +goose Down
DROP TABLE contact_flag;
