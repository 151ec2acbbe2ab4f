package console

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

type askOut struct {
	Body struct {
		Asked int `json:"asked" doc:"how many are on the list that were not; they are rung one after the other, in the hours for it"`
	}
}

var errRingsNobody = huma.Error404NotFound("this program rings nobody")

// apiAsk puts the persons of call-backs on the list of those who are rung and asked by key.
func (s *Server) apiAsk(ctx context.Context, in *struct {
	Body struct {
		Callbacks []string `json:"callbacks" minItems:"1" maxItems:"500" doc:"ids of open call-backs"`
	}
}) (*askOut, error) {
	by, err := caller(ctx, org.RunSurvey)
	if err != nil {
		return nil, err
	}
	if s.Questions == nil {
		return nil, errRingsNobody
	}
	out := &askOut{}
	var no *ivr.Refusal
	if out.Body.Asked, err = s.Questions.Add(ctx, in.Body.Callbacks, by.Actor()); errors.As(err, &no) {
		return nil, huma.Error422UnprocessableEntity(no.Message, &huma.ErrorDetail{Location: "body.callbacks", Message: no.Code})
	} else if err != nil {
		return nil, s.problemOf("ask by key", err)
	}
	return out, nil
}

// QuestionOut is a person who is to be asked by key, and what came of it.
type QuestionOut struct {
	Callback string     `json:"callback_id"`
	State    string     `json:"state" enum:"waiting,calling,done"`
	Outcome  string     `json:"outcome,omitempty" doc:"rated, unrated, removed, fault, interrupted, or why nobody was reached or rung: busy, noanswer, declined, optout, shielded, state …"`
	Rating   int        `json:"rating,omitempty" doc:"key pressed: 1 非常满意 … 5 非常不满意"`
	CallID   string     `json:"call_id,omitempty" doc:"the last call"`
	AskedBy  string     `json:"asked_by"`
	AskedAt  time.Time  `json:"asked_at"`
	DoneAt   *time.Time `json:"done_at,omitempty"`
}

// apiQuestions lists who is to be asked by key, and what came of it.
func (s *Server) apiQuestions(ctx context.Context, in *struct {
	Paging
	State string `query:"state" enum:"waiting,calling,done"`
}) (*listOf[QuestionOut], error) {
	if _, err := caller(ctx, org.RunSurvey); err != nil {
		return nil, err
	}
	if s.Questions == nil {
		return nil, errRingsNobody
	}
	var page []ivr.Question
	var total int
	err := s.DB.View(ctx, func(tx *storage.Tx) (err error) {
		page, total, err = s.Questions.List(tx, ivr.QuestionState(in.State), in.Limit, in.Offset)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list who is asked by key", err)
	}
	return list(page, total, func(q ivr.Question) QuestionOut {
		return QuestionOut{Callback: q.CallbackID, State: string(q.State), Outcome: q.Outcome, Rating: q.Rating, CallID: q.CallID, AskedBy: q.AskedBy,
			AskedAt: q.AskedAt.In(workday.Zone), DoneAt: stampOrNil(q.DoneAt)}
	}), nil
}

// apiUnask takes somebody off the list.
func (s *Server) apiUnask(ctx context.Context, in *struct {
	ID string `path:"id" doc:"of the call-back"`
}) (*struct{}, error) {
	by, err := caller(ctx, org.RunSurvey)
	if err != nil {
		return nil, err
	}
	if s.Questions == nil {
		return nil, errRingsNobody
	}
	if err := s.Questions.Remove(ctx, in.ID, by.Actor()); err != nil {
		return nil, s.problemOf("take off the list of questions by key", err)
	}
	return nil, nil
}
