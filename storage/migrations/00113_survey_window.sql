-- +goose Up
-- The window and the clerk's number of a service, where its source tells them (W9).
ALTER TABLE survey_record ADD COLUMN window_no TEXT NOT NULL DEFAULT '';
ALTER TABLE survey_record ADD COLUMN clerk_no TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE survey_record DROP COLUMN clerk_no;
ALTER TABLE survey_record DROP COLUMN window_no;
