-- +goose Up
-- Calls of ours stand beside those that come in, and a call knows when 110 came into it.
ALTER TABLE call ADD COLUMN direction TEXT NOT NULL DEFAULT 'in';
ALTER TABLE call ADD COLUMN police BIGINT;
CREATE INDEX call_callback ON call (callback_id);

-- +goose Down
DROP INDEX call_callback;
ALTER TABLE call DROP COLUMN police;
ALTER TABLE call DROP COLUMN direction;
