-- +goose Up
-- The extension that the texts of a question are sent with, where the carrier has sub-numbers; '' is from before there were
-- any. Two questions to one number never share one while either can be answered.
ALTER TABLE survey_ask ADD COLUMN extension TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE survey_ask DROP COLUMN extension;
