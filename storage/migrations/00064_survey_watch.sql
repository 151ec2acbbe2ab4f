-- +goose Up
-- The first three digits of the number tell the network it was given out by; by themselves they name nobody.
ALTER TABLE survey_ask ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
CREATE INDEX survey_ask_asked ON survey_ask (asked_at);

-- +goose Down
DROP INDEX survey_ask_asked;
ALTER TABLE survey_ask DROP COLUMN prefix;
