-- +goose Up

-- A version of the grading rules may bring a word list of its own, and was tried on past tickets before a second person decides.
ALTER TABLE grade_rules ADD COLUMN words TEXT NOT NULL DEFAULT ''; -- YAML, as ticket/grade/lexicon.yaml; empty: the words of the program
ALTER TABLE grade_rules ADD COLUMN trial TEXT NOT NULL DEFAULT ''; -- JSON: what it would have changed; empty: not tried yet

-- +goose Down
ALTER TABLE grade_rules DROP COLUMN trial;
ALTER TABLE grade_rules DROP COLUMN words;
