-- +goose Up
-- Digits behind our number, for carriers whose contract gives sub-numbers: a reply to them names the question it answers.
ALTER TABLE sms ADD COLUMN extension TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE sms DROP COLUMN extension;
