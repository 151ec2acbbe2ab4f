-- +goose Up
-- The simulated carrier has sub-numbers: what a text came from is what a handset answers to.
ALTER TABLE sim_text ADD COLUMN extension TEXT NOT NULL DEFAULT '';
ALTER TABLE sim_reply ADD COLUMN recipient TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE sim_reply DROP COLUMN recipient;
ALTER TABLE sim_text DROP COLUMN extension;
