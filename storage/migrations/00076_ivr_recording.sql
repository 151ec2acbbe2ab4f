-- +goose Up

-- What became of a call's recording besides the sound itself.
ALTER TABLE call ADD COLUMN recording_fault TEXT NOT NULL DEFAULT '';      -- why the call, or its end, is not recorded
ALTER TABLE call ADD COLUMN recording_paused_ms BIGINT NOT NULL DEFAULT 0; -- silence while personal numbers were keyed
ALTER TABLE call ADD COLUMN recording_hold TEXT NOT NULL DEFAULT '';       -- why the sound is kept beyond its time
ALTER TABLE call ADD COLUMN recording_gone BIGINT;                         -- when the sound was removed
ALTER TABLE call ADD COLUMN recording_gone_why TEXT NOT NULL DEFAULT '';
CREATE INDEX call_recorded ON call (started) WHERE recording <> '' AND recording_gone IS NULL;

-- +goose Down
DROP INDEX call_recorded;
ALTER TABLE call DROP COLUMN recording_gone_why;
ALTER TABLE call DROP COLUMN recording_gone;
ALTER TABLE call DROP COLUMN recording_hold;
ALTER TABLE call DROP COLUMN recording_paused_ms;
ALTER TABLE call DROP COLUMN recording_fault;
