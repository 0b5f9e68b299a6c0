package api

import (
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Backup copies this node's stores, and returns what writes the copies out as a tar, which must be called. running: another
// backup is being made.
type Backup func() (write func(w io.Writer) error, running bool, err error)

// postBackup streams a copy of all that this node keeps.
func (s *Server) postBackup(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	if s.d.Backup == nil {
		return getNothing(w, r)
	}
	write, running, err := s.d.Backup()
	switch {
	case running:
		return newProblem(http.StatusConflict, "backup-running", "A backup is being made", "One backup is made at a time: try again when it is done.")
	case err != nil:
		return s.fail("copy the stores", err)
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if err := write(&unhurried{w, http.NewResponseController(w), s}); err != nil {
		s.log.Warn("a backup was cut off", zap.Error(err))
		panic(http.ErrAbortHandler) // the client must not take what it has for all
	}
	return nil
}

// unhurried writes as long as the client takes something now and then, and the server does not stop.
type unhurried struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	s  *Server
}

func (u *unhurried) Write(b []byte) (int, error) {
	if err := u.s.stopping.Err(); err != nil {
		return 0, err
	}
	_ = u.rc.SetWriteDeadline(time.Now().Add(u.s.o.StallTimeout))
	return u.w.Write(b)
}
