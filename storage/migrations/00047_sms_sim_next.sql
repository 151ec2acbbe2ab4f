-- +goose Up

-- Receipts are handed over, and replies worked on, by due and id: with many of one moment an index over the due alone leaves all of them to be
-- sorted for each two hundred.
CREATE INDEX sim_receipt_next ON sim_receipt (due, id) WHERE done_at IS NULL;
DROP INDEX sim_receipt_due;
CREATE INDEX sms_inbound_work_next ON sms_inbound_work (due, inbound_id) WHERE done_at IS NULL;
DROP INDEX sms_inbound_work_due;

-- +goose Down
CREATE INDEX sms_inbound_work_due ON sms_inbound_work (due) WHERE done_at IS NULL;
DROP INDEX sms_inbound_work_next;
CREATE INDEX sim_receipt_due ON sim_receipt (due) WHERE done_at IS NULL;
DROP INDEX sim_receipt_next;
