-- +goose Up
-- The decisions of one commit of a run; the audit chain holds a digest of each batch. '' is from before there were any.
ALTER TABLE survey_decision ADD COLUMN batch TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE survey_decision DROP COLUMN batch;
