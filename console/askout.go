package console

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
)

type askOut struct {
	Body struct {
		Asked int `json:"asked" doc:"how many are rung, one after the other; what came of each stands in its call and its call-back"`
	}
}

// apiAsk has the persons of call-backs rung and asked by key.
func (s *Server) apiAsk(ctx context.Context, in *struct {
	Body struct {
		Callbacks []string `json:"callbacks" minItems:"1" maxItems:"500" doc:"ids of open call-backs"`
	}
}) (*askOut, error) {
	if _, err := caller(ctx, org.RunSurvey); err != nil {
		return nil, err
	}
	if err := s.AskByKey(in.Body.Callbacks); err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	out := &askOut{}
	out.Body.Asked = len(in.Body.Callbacks)
	return out, nil
}
