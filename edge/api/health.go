package api

import (
	"io"
	"net/http"
)

// getLive says that the process can answer at all.
func getLive(w http.ResponseWriter, _ *http.Request) *problem {
	return writeText(w, `{"live":true}`)
}

// getReady says whether the node should get traffic now.
func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) *problem {
	problems := s.d.Ready()
	if s.stopping.Err() != nil {
		problems = append(problems, Problem{Part: "api", Reason: "the server is stopping"})
	}
	if len(problems) == 0 {
		return writeText(w, `{"ready":true}`)
	}
	p := unavailable("")
	p.Type, p.Title, p.Problems = problemType+"not-ready", "The node should get no traffic now", problems
	return p
}

const jsonType = "application/json"

// writeText answers 200 with a JSON text.
func writeText(w http.ResponseWriter, text string) *problem {
	w.Header().Set("Content-Type", jsonType)
	_, _ = io.WriteString(w, text+"\n") // who is gone needs no answer
	return nil
}
