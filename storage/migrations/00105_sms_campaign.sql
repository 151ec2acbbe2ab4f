-- +goose Up
-- The texts of a campaign, whatever their state: with the state in the index each text would move in it three times on its way.
CREATE INDEX sms_campaign_texts ON sms (campaign);
DROP INDEX sms_campaign_state;

-- +goose Down
CREATE INDEX sms_campaign_state ON sms (campaign, state);
DROP INDEX sms_campaign_texts;
