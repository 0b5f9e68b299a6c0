package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/pipeline"
)

// rulesOf are the rules of an Acceptor, as far as these tests look.
type rulesOf struct{ accept *pipeline.Acceptor }

func (r rulesOf) State() RulesState {
	rules := r.accept.Rules()
	return RulesState{Hash: rules.Hash, LoadedAt: rules.LoadedAt, Files: []RuleFile{{Name: rules.Files[0].Name, Origin: "built-in"}}}
}

func (r rulesOf) Reload() (RulesState, error) {
	_, err := r.accept.ReloadRules()
	return r.State(), err
}

// brokenRules can't be read.
type brokenRules struct{ RulesState }

func (b brokenRules) State() RulesState { return b.RulesState }

func (b brokenRules) Reload() (RulesState, error) {
	return b.RulesState, errors.New("agents.tsv:7: want a code")
}

func TestRules(t *testing.T) {
	w := newWorld(t, nil)
	var before, after RulesState
	must(t, json.Unmarshal(w.get("/v1/rules").body, &before))
	if before.Hash == "" || len(before.Files) == 0 || before.Folder != nil || before.Failed != nil {
		t.Errorf("the rules are %+v", before)
	}
	a := w.do(http.MethodPost, "/v1/rules/reload", "")
	must(t, json.Unmarshal(a.body, &after))
	if a.StatusCode != http.StatusOK || after.Hash != before.Hash || after.LoadedAt.Equal(before.LoadedAt) {
		t.Errorf("reloaded: %d, %s, was %+v", a.StatusCode, a.body, before)
	}
	if a := w.get("/v1/rules?x=1"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown parameter: %d", a.StatusCode)
	}
	if a := w.get("/v1/rules/reload"); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET of a reload: %d", a.StatusCode)
	}
}

func TestRulesBroken(t *testing.T) {
	failed := &RulesFailure{Time: time.Unix(1, 0).UTC(), File: "agents.tsv", Line: 7, Error: "agents.tsv:7: want a code"}
	w := newWorld(t, func(_ *Options, d *Dependencies) {
		d.Rules = brokenRules{RulesState{Hash: "x", Failed: failed}}
		d.PeersOnly = true // rules are the business of nodes without the role api, too
	})
	a := w.do(http.MethodPost, "/v1/rules/reload", "")
	if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), `"urn:carom:problem:bad-rules"`) ||
		!strings.Contains(string(a.body), "agents.tsv:7: want a code") {
		t.Errorf("%d: %s", a.StatusCode, a.body)
	}
	if a := w.get("/v1/rules"); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"file":"agents.tsv","line":7`) {
		t.Errorf("%d: %s", a.StatusCode, a.body)
	}
}
