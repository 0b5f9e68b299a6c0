package main

import (
	"bytes"
	"testing"
	"time"
)

func TestTables(t *testing.T) {
	lost := at(2, "nginx-off", 64, 1, 1)
	lost.Error = "check: the answer is no pixel"
	r := outcome{Cells: []cell{
		at(1, "carom", 64, 1600, 4000), at(1, "fasthttp", 64, 2000, 5000),
		at(2, "fasthttp", 64, 4000, 3000), at(2, "carom", 64, 2000, 3000), lost,
		at(1, "carom", 256, 1500, 6000), at(1, "fasthttp", 256, 2000, 0),
	}}
	r.Options.Calm, r.Cells[0].Calm, r.Cells[0].Waited, r.Cells[1].Waited = time.Millisecond, true, 20*time.Second, time.Minute
	r.finish(everyPeer())
	const want = "" +
		"      peer  connections  answers/s    min..max      p50      p99  server  µs each  load  µs each  rounds\n" +
		"     carom           64        900   800..1000  1.75 ms  3.50 ms    1.50   1687.5  0.50    562.5       2\n" +
		"  fasthttp           64       1500  1000..2000  2.00 ms  4.00 ms    1.50   1125.0  0.50    375.0       2\n" +
		"                                                                                                        \n" +
		"     carom          256        750    750..750  3.00 ms  6.00 ms    1.50   2000.0  0.50    666.7       1\n" +
		"  fasthttp          256       1000  1000..1000        -        -    1.50   1500.0  0.50    500.0       1\n" +
		"\n" +
		"Ratios within each round, their median and min..max, and the bar where there is one. Rate: more is better. p99, and the server's CPU for an answer: less is better.\n" +
		"\n" +
		"              what  connections  rate                            p99                 cpu              \n" +
		"  carom / fasthttp           64  0.65  0.50..0.80     0.60 met  0.90  0.80..1.00    1.62  1.25..2.00  \n" +
		"  carom / fasthttp          256  0.75  0.75..0.75  0.78 MISSED     -                1.33  1.33..1.33  \n" +
		"\n" +
		"1 of 6 measurements began in calm: right before, 99 of 100 syncs took less than 1ms, and the processors had nine tenths of the most that they had in this run. 1m20s were waited for it.\n" +
		"\n" +
		"Left out:\n" +
		"  round 2, nginx-off, 64 connections: check: the answer is no pixel\n"
	var got bytes.Buffer
	if err := writeTables(&got, &r); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("tables:\n%s\nwant\n%s", got.String(), want)
	}
}
