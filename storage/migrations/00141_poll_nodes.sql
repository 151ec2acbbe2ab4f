-- +goose Up
-- Polls end on any node, and polls under a name (记名) may be answered by a digit.
ALTER TABLE poll ADD COLUMN named BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE poll ADD COLUMN ending_by TEXT NOT NULL DEFAULT ''; -- who ended it on a node without its key

-- A node without the key of an open poll asks for it here, by a public key whose secret half never leaves the node; one that
-- has the key answers with the key sealed for it. Rows go with the poll's end at the latest.
CREATE TABLE poll_key_wish (
	id         TEXT  PRIMARY KEY, -- random
	poll_id    TEXT  NOT NULL REFERENCES poll (id),
	public_key BYTEA NOT NULL,
	proof      TEXT  NOT NULL,    -- keyed hash: only a node of this house can ask
	sealed     BYTEA
);
CREATE INDEX poll_key_wish_poll ON poll_key_wish (poll_id);
CREATE INDEX poll_invitation_phone ON poll_invitation (phone_hash);

-- +goose Down
DROP INDEX poll_invitation_phone;
DROP TABLE poll_key_wish;
ALTER TABLE poll DROP COLUMN ending_by;
ALTER TABLE poll DROP COLUMN named;
