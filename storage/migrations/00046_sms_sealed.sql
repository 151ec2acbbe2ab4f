-- +goose Up
-- What a text or a reply says is sealed: residents write names, numbers and addresses. words takes the place of body,
-- which is empty from here on; rows from before are sealed when the program starts (sms.SealWords).
ALTER TABLE sms ADD COLUMN words BYTEA;
ALTER TABLE sms_inbound ADD COLUMN words BYTEA;
ALTER TABLE sim_text ADD COLUMN words BYTEA;
ALTER TABLE sim_reply ADD COLUMN words BYTEA;
CREATE INDEX sms_unsealed ON sms (id) WHERE words IS NULL;
CREATE INDEX sms_inbound_unsealed ON sms_inbound (id) WHERE words IS NULL;
CREATE INDEX sim_text_unsealed ON sim_text (id) WHERE words IS NULL;
CREATE INDEX sim_reply_unsealed ON sim_reply (id) WHERE words IS NULL;

-- +goose Down
DROP INDEX sim_reply_unsealed;
DROP INDEX sim_text_unsealed;
DROP INDEX sms_inbound_unsealed;
DROP INDEX sms_unsealed;
ALTER TABLE sim_reply DROP COLUMN words;
ALTER TABLE sim_text DROP COLUMN words;
ALTER TABLE sms_inbound DROP COLUMN words;
ALTER TABLE sms DROP COLUMN words;
