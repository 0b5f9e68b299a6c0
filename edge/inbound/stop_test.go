package inbound

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// holding starts a server whose sink waits, and gives it a bounce.
func holding(t *testing.T) (*fixture, *client) {
	f := newFixture(t, func(o *Options) { o.ShutdownTimeout = 0 })
	f.sink.hold, f.sink.called = make(chan struct{}), make(chan struct{})
	f.pipes = newPipeListener()
	if err := f.prepare(f.pipes); err != nil {
		t.Fatal(err)
	}
	c := f.run().hello()
	c.begin(f.returnPath())
	c.do("DATA", "354")
	c.send(dsn("bob@example.org", "5.1.1", "") + ".\r\n")
	<-f.sink.called
	return f, c
}

// 250 comes after the sink has returned, and not before.
func TestAnswerAfterSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := holding(t)
		answer := make(chan string, 1)
		go func() { got, _ := c.reply(); answer <- got }()
		synctest.Wait()
		select {
		case got := <-answer:
			t.Fatalf("answered before the sink returned: %q", got)
		default:
		}
		f.sink.release()
		if got := <-answer; !strings.HasPrefix(got, "250 2.0.0 Ok") {
			t.Errorf("got %q", got)
		}
		c.do("QUIT", "221")
	})
}

// Run doesn't return while the sink is at work, however short its patience with clients is.
func TestStopWaitsForSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := holding(t)
		stopped := make(chan error, 1)
		go func() { stopped <- f.stop() }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("stopped in the middle of a call to the sink")
		default:
		}
		f.sink.release()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		c.wantEnd()
	})
}

// A fault of ours defers the mail, and meets nobody else.
func TestPanic(t *testing.T) {
	f := overTCP(t, nil)
	f.sink.bug = true
	c := f.hello()
	if got := c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasPrefix(got, "451 4.3.0") {
		t.Errorf("DATA: %q", got)
	}
	c.begin(f.returnPath())
	mail := dsn("bob@example.org", "5.1.1", "")
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail), mail))
	c.want("451 4.3.0")
	c.do("NOOP", "250")
	if n := f.count(f.metrics.panics); n != 2 {
		t.Errorf("%v panics counted", n)
	}
}
