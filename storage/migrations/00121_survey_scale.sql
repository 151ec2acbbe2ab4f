-- +goose Up
-- The scale that a question was texted with (1满意2基本满意3不满意): a reply's digit means what stood in that text, whatever the
-- configuration says by then. '' is the scale of five.
ALTER TABLE survey_ask ADD COLUMN scale TEXT NOT NULL DEFAULT '';

-- Campaigns are listed by when their texts were queued.
CREATE INDEX sms_created ON sms (created_at);

-- +goose Down
DROP INDEX sms_created;
ALTER TABLE survey_ask DROP COLUMN scale;
