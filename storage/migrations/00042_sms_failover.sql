-- +goose Up
-- pinned: whoever queued the text named its carrier. refused_by: carriers that have refused it for good, before it was
-- given to another one.
ALTER TABLE sms ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sms ADD COLUMN refused_by TEXT NOT NULL DEFAULT '';
UPDATE sms SET pinned = TRUE WHERE carrier <> '' AND attempt = 0;

-- +goose Down
ALTER TABLE sms DROP COLUMN refused_by;
ALTER TABLE sms DROP COLUMN pinned;
