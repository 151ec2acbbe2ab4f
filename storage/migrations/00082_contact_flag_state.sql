-- +goose Up

-- A mark is proposed by one person and approved by another; those of before, and those of the command line, are in force as they are.
ALTER TABLE contact_flag ADD COLUMN state TEXT NOT NULL DEFAULT 'in_force'; -- proposed, in_force, refused
ALTER TABLE contact_flag ADD COLUMN days BIGINT NOT NULL DEFAULT 0;         -- asked for; 0: until lifted
ALTER TABLE contact_flag ADD COLUMN decided_by TEXT NOT NULL DEFAULT '';
ALTER TABLE contact_flag ADD COLUMN decided_at BIGINT;
ALTER TABLE contact_flag ADD COLUMN lifted_by TEXT NOT NULL DEFAULT '';
ALTER TABLE contact_flag ADD COLUMN lifted_why TEXT NOT NULL DEFAULT '';
CREATE INDEX contact_flag_at ON contact_flag (at);

-- +goose Down
DROP INDEX contact_flag_at;
ALTER TABLE contact_flag DROP COLUMN lifted_why;
ALTER TABLE contact_flag DROP COLUMN lifted_by;
ALTER TABLE contact_flag DROP COLUMN decided_at;
ALTER TABLE contact_flag DROP COLUMN decided_by;
ALTER TABLE contact_flag DROP COLUMN days;
ALTER TABLE contact_flag DROP COLUMN state;
