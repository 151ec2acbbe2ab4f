-- +goose Up
-- Other ways to know a person: by the address of a mail, by the number of an identity card. Both are sealed and found by
-- keyed hash, as numbers are.
ALTER TABLE contact ADD COLUMN email_hash TEXT;
ALTER TABLE contact ADD COLUMN email_sealed BYTEA;
ALTER TABLE contact ADD COLUMN identity_hash TEXT;
ALTER TABLE contact ADD COLUMN identity_sealed BYTEA;
ALTER TABLE contact ADD COLUMN anonymised BIGINT;
CREATE UNIQUE INDEX contact_email ON contact (email_hash) WHERE email_hash IS NOT NULL;
CREATE INDEX contact_identity ON contact (identity_hash) WHERE identity_hash IS NOT NULL;

-- +goose Down
DROP INDEX contact_identity;
DROP INDEX contact_email;
ALTER TABLE contact DROP COLUMN anonymised;
ALTER TABLE contact DROP COLUMN identity_sealed;
ALTER TABLE contact DROP COLUMN identity_hash;
ALTER TABLE contact DROP COLUMN email_sealed;
ALTER TABLE contact DROP COLUMN email_hash;
