package result

import "time"

// Format is the version of the JSON form. A reader refuses higher ones.
const Format = 1

// Result is one measurement.
type Result struct {
	Format  int       `json:"format"`
	Name    string    `json:"name"`   // what the plots call it
	Kind    string    `json:"kind"`   // http, smtp, api: see kinds
	Target  string    `json:"target"` // URL or host and port
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"` // measured, without the warm-up

	Load    Load              `json:"load"`
	Options map[string]string `json:"options,omitempty"` // other settings that the figures depend on, by flag

	Requests int64            `json:"requests"`         // answered as a right server does
	Items    int64            `json:"items"`            // facts told by them
	Bytes    int64            `json:"bytes"`            // sent and received
	Failed   int64            `json:"failed"`           // all others
	Rate     float64          `json:"rate"`             // items a second
	Answers  []Answers        `json:"answers"`          // by kind and code
	Errors   map[string]int64 `json:"errors,omitempty"` // failures by what was said, the most frequent ones

	Latency  Distribution `json:"latency"`  // from the intended start in an open loop, from the sending in a closed one
	Service  Distribution `json:"service"`  // from the sending
	Lateness Distribution `json:"lateness"` // from the intended start to the sending where a client was free: the harness's own error
	Series   []Point      `json:"series"`   // one a second
	Steps    []Step       `json:"steps,omitempty"`
	Search   []Try        `json:"search,omitempty"`

	Harness CPU      `json:"harness"`
	Server  *CPU     `json:"server,omitempty"` // if its process is known
	Machine Machine  `json:"machine"`
	Notes   []string `json:"notes,omitempty"` // what a reader must know to trust the figures: a harness at its limit, a late start
}

// Load is how the requests were made.
type Load struct {
	Mode        string  `json:"mode"` // open or closed
	Connections int     `json:"connections"`
	Stages      []Stage `json:"stages"`
	Warmup      float64 `json:"warmup_seconds"`
	Timeout     float64 `json:"timeout_seconds"`
}

// Stage is a time at a rate that grows evenly, in requests a second. In a closed loop the rates are 0.
type Stage struct {
	From    float64 `json:"from"`
	To      float64 `json:"to"`
	Seconds float64 `json:"seconds"`
}

// Step is what came of a stage of an open loop, where there are several: of those that began before the load ended.
type Step struct {
	Stage                // as long as it was; the last one until the last answer
	Reached float64      `json:"reached"` // right answers a second that came while it lasted
	Failed  int64        `json:"failed"`  // of the requests that were due in it
	Latency Distribution `json:"latency"` // of those
}

// Answers counts the answers of one sort.
type Answers struct {
	Kind  string `json:"kind"`
	Code  int    `json:"code"`
	Count int64  `json:"count"`
}

// Distribution is a latency distribution, in microseconds.
type Distribution struct {
	Count       int64        `json:"count"`
	Min         float64      `json:"min_us"`
	Mean        float64      `json:"mean_us"`
	StdDev      float64      `json:"stddev_us"`
	Max         float64      `json:"max_us"`
	Percentiles []Percentile `json:"percentiles"` // ascending: those of Named and steps between them for a plot, without those that Count is too small for
	// HDR is the whole histogram in HdrHistogram's compressed base64 form (V2), to be added to others and read by its
	// tools. Its unit is the nanosecond.
	HDR string `json:"hdr,omitempty"`
}

// Percentile says that P per cent took no longer than Micros.
type Percentile struct {
	P      float64 `json:"p"`
	Micros float64 `json:"us"`
}

// Point is one second of a measurement.
type Point struct {
	At       float64 `json:"at"`     // the second's end, from the beginning
	Wanted   float64 `json:"wanted"` // the plan's rate; 0 in a closed loop
	Requests int64   `json:"requests"`
	Items    int64   `json:"items"`
	Failed   int64   `json:"failed"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Max      float64 `json:"max_us"`
	Harness  float64 `json:"harness_cores"` // cores that the harness kept busy
	Server   float64 `json:"server_cores,omitempty"`
	Memory   int64   `json:"server_rss_bytes,omitempty"`
}

// Try is one step of a search for the highest rate.
type Try struct {
	Wanted   float64 `json:"wanted"`
	Reached  float64 `json:"reached"`
	Bound    string  `json:"bound"` // p99<10ms
	Measured float64 `json:"measured_us"`
	Lateness float64 `json:"lateness_us,omitempty"`   // the harness's own, at the bound's percentile; 0: unknown, or no connection was free
	Harness  float64 `json:"harness_share,omitempty"` // of the CPU time that it and the server used; 0: unknown
	Failed   int64   `json:"failed"`
	Held     bool    `json:"held"`
}

// CPU is what a process used while it was measured.
type CPU struct {
	Seconds  float64 `json:"cpu_seconds"` // user and system
	Cores    float64 `json:"cores"`       // mean number of cores busy
	Share    float64 `json:"share"`       // of all cores of the machine, 0 to 1
	PerItem  float64 `json:"us_per_item"`
	PeakRSS  int64   `json:"peak_rss_bytes"`
	Process  string  `json:"process,omitempty"` // pid and name
	Involved int     `json:"processes"`         // of the process and its children
}

// Machine is where it was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	System string `json:"system"`
	Carom  string `json:"carom"`          // the harness's version
	Disk   *Disk  `json:"disk,omitempty"` // of a node that was started to be measured
}

// Disk is what the measured node's data lay on.
type Disk struct {
	FileSystem string  `json:"file_system,omitempty"` // ext4, tmpfs, or its magic number as 0x...; on Linux only
	Sync       float64 `json:"sync_us"`               // median of some writes of 4 KiB, each synced
}

// InMemory reports whether synced writes cost nothing there; of nil nobody knows.
func (d *Disk) InMemory() bool {
	return d != nil && (d.FileSystem == "tmpfs" || d.FileSystem == "ramfs")
}

// String says it in words; nothing of nil.
func (d *Disk) String() string {
	if d == nil {
		return ""
	}
	text := "a synced write of 4 KiB takes " + Micros(d.Sync)
	if d.FileSystem != "" {
		text = plain(d.FileSystem, 40) + ", " + text
	}
	return text
}
