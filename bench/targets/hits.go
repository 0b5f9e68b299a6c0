package targets

// Hit is what one HTTP request asks for.
type Hit struct {
	Kind   HitKind
	Path   []byte // of the request line, with the query; valid until the next Hit is asked for
	Client uint32 // who asks: the same number is the same address and user agent
}

// HitKind is what a right answer to a hit is.
type HitKind uint8

// The kinds of hits.
const (
	Get   HitKind = iota // any answer below 400
	Open                 // 200 with a GIF
	Click                // 302 with a Location
)

func (k HitKind) String() string { return [...]string{"get", "open", "click"}[k] }

// Hits is where a connection has its hits from. One goroutine uses it.
type Hits interface {
	// Next fills in what to ask for next.
	Next(h *Hit)
}
