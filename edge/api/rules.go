package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Rules are the request rules of this node.
type Rules interface {
	// State tells which rules hold.
	State() RulesState
	// Reload reads them anew. An error says what is wrong with them and what is wanted; then those that hold stay.
	Reload() (RulesState, error)
}

// RulesState is what GET /v1/rules answers.
type RulesState struct {
	Folder   *string    `json:"folder"` // null: built-in rules alone
	Hash     string     `json:"hash"`
	LoadedAt time.Time  `json:"loaded_at"`
	Files    []RuleFile `json:"files"`
	// Failed is the last reload, if that failed.
	Failed *RulesFailure `json:"failed"`
}

// RuleFile is one of the files that the rules were made of.
type RuleFile struct {
	Name     string `json:"name"`
	Origin   string `json:"origin"` // "folder", "built-in", or "missing" for a list that need not be there
	Rules    int    `json:"rules"`
	Prefixes int    `json:"prefixes"`
	Bytes    int64  `json:"bytes"`
	Hash     string `json:"hash,omitempty"`
}

// RulesFailure is a reload that failed.
type RulesFailure struct {
	Time  time.Time `json:"time"`
	File  string    `json:"file,omitempty"`
	Line  int       `json:"line,omitempty"`
	Error string    `json:"error"`
}

// getRules tells by which rules this node judges requests.
func (s *Server) getRules(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	if s.d.Rules == nil {
		return getNothing(w, r)
	}
	return s.writeRules(w, s.d.Rules.State())
}

// postRulesReload reads them anew.
func (s *Server) postRulesReload(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	if s.d.Rules == nil {
		return getNothing(w, r)
	}
	state, err := s.d.Rules.Reload()
	if err != nil {
		s.log.Warn("rules not reloaded", zap.Error(err))
		return newProblem(http.StatusUnprocessableEntity, "bad-rules", "The rules can't be read, and the old ones stay", err.Error())
	}
	return s.writeRules(w, state)
}

func (s *Server) writeRules(w http.ResponseWriter, state RulesState) *problem {
	text, err := json.Marshal(state)
	if err != nil {
		return s.fail("write the rules", fmt.Errorf("encode: %w", err))
	}
	return writeText(w, string(text))
}
