-- +goose Up
-- The clocks of bad ratings look for call-backs of this one kind at every sweep.
CREATE INDEX ticket_callback_rating ON ticket_callback (opened_at) WHERE kind = 'rating';

-- +goose Down
DROP INDEX ticket_callback_rating;
