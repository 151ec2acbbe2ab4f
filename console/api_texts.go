package console

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
)

// allUnits refuses a token that is confined to a unit: a text names its unit in its words alone, and from its number, hour
// and unit the rated unit could learn who rated it (I6). The centre's own unit sees all.
func (s *Server) allUnits(ctx context.Context, by org.Token) error {
	var scope org.Scope
	err := s.DB.View(ctx, func(tx *storage.Tx) (err error) { scope, err = org.TokenScope(tx, by); return err })
	if err != nil {
		return s.problemOf("scope of a token", err)
	}
	if !scope.All() {
		return huma.Error403Forbidden("a token that is confined to a unit sees no texts")
	}
	return nil
}
