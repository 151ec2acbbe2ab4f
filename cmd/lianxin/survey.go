package main

import (
	"fmt"
	"os"

	"lianxin/survey"
	"lianxin/survey/reply"
)

// configureSurvey gives the survey a bureau's own file and word lists, where there are any.
func (c *centre) configureSurvey() (err error) {
	if c.survey.Config, err = survey.LoadConfig(c.cfg.Classes); err != nil {
		return err
	}
	lexicon, err := openLexicon(c.cfg.Lexicon)
	if err != nil {
		return err
	}
	c.survey.Read, c.survey.Lexicon = lexicon.ReadOn, lexicon.Version
	return nil
}

// openLexicon is the shipped lexicon, extended by the word lists of a folder when one is named.
func openLexicon(dir string) (*reply.Lexicon, error) {
	if dir == "" {
		return reply.Standard(), nil
	}
	l, err := reply.LoadLexicon(reply.Embedded(), os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("word lists in %s: %w", dir, err)
	}
	return l, nil
}

type surveyConfigCmd struct{}

// Run prints the configuration of the survey that is in force, or the shipped one as a file to begin from.
func (surveyConfigCmd) Run(m *Main, cfg *Config) error {
	if cfg.Classes == "" {
		_, err := fmt.Fprint(m.Out, survey.StandardText())
		return err
	}
	if _, err := survey.LoadConfig(cfg.Classes); err != nil {
		return err
	}
	b, err := os.ReadFile(cfg.Classes)
	if err != nil {
		return err
	}
	_, err = m.Out.Write(b)
	return err
}
