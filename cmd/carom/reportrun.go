package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"carom/edge/mailbox"
	"carom/edge/report"

	"golang.org/x/sync/semaphore"
)

const (
	// maxReportBytes bounds one mail.
	maxReportBytes = 64 << 20
	// reportMemory bounds the mails that wait for a worker; one more may be growing.
	reportMemory = 2 * maxReportBytes
	// smallFile is the largest file that a worker reads itself. The mails of larger ones are cut apart by the source,
	// so that all workers have a share in one mbox.
	smallFile = 1 << 20
	// A job is done by one worker: so many mails or files, or so many bytes of them.
	jobMails = 128
	jobBytes = 512 << 10
	// jobsWaiting is how many jobs for each worker may wait for it or for those before them.
	jobsWaiting = 4
	// chunkBytes is how much output is handed over at once.
	chunkBytes = 64 << 10
)

// reportRun reads mails on all processors and writes what they say in the order of the inputs:
//
//	inputs ─▶ source ─┬─▶ todo ─▶ workers ─▶ chunks of a job ─┐
//	                  └─▶ ordered ────────────────────────────┴─▶ out
//
// The writer takes the jobs in the order in which the source made them, and from each its chunks until it is done. A
// worker whose job is not yet due stops when its chunks' channel is full, so little waits in memory however long the
// first job takes. Workers take jobs in that same order, so the one that is due is always being worked on.
type reportRun struct {
	query   *reportQuery
	stdin   io.Reader
	out     flusher
	console *console

	todo, ordered chan *reportJob
	memory        *semaphore.Weighted
	mails         atomic.Int64 // read so far
}

// reportJob is work for one worker: files to read, or mails that were read.
type reportJob struct {
	files []mailbox.File

	name  string // of the mbox that mails are of
	first int    // number of the first of them; 0: it has none
	mails []byte
	ends  []mailEnd

	err error // what became of an input that could not be read, or its rest

	chunks chan reportChunk
}

// mailEnd is where a mail ends in the job's bytes, or why it is not there.
type mailEnd struct {
	end int
	err error
}

// reportChunk is output of a job: lines, or what went wrong behind them.
type reportChunk struct {
	lines *[]byte
	err   error
}

func newReportRun(q *reportQuery, stdin io.Reader, out flusher) *reportRun {
	waiting := jobsWaiting * runtime.GOMAXPROCS(0)
	return &reportRun{
		query: q, stdin: stdin, out: out, console: &console{out: os.Stderr},
		todo: make(chan *reportJob, waiting), ordered: make(chan *reportJob, waiting),
		memory: semaphore.NewWeighted(reportMemory),
	}
}

// run reads all and returns the counts, also of what was read before an error.
func (r *reportRun) run(ctx context.Context) (*reportCounts, error) {
	counts := newReportCounts()
	if err := r.replies(counts); err != nil {
		return counts, err
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	// Nobody waits for the source: it may hang in a read of standard input, which nothing ends.
	go (&reportSource{run: r, ctx: work}).all()
	var workers sync.WaitGroup
	own := make([]*reportCounts, runtime.GOMAXPROCS(0))
	for i := range own {
		own[i] = newReportCounts()
		workers.Go(func() { (&reportWorker{run: r, ctx: work, counts: own[i]}).all() })
	}
	failed, err := r.write(ctx)
	cancel()
	workers.Wait()
	for _, c := range own {
		counts.add(c)
	}
	counts.Mails, counts.Failed = r.mails.Load(), failed
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d could not be read, %d could", failed, counts.Mails)
	}
	return counts, err
}

func (r *reportRun) replies(counts *reportCounts) error {
	var lines []byte
	for _, reply := range r.query.replies {
		fact, why := r.query.replyFact(reply)
		facts := []report.Fact{fact}
		if r.query.summary {
			counts.count(facts)
			continue
		}
		lines = r.query.appendFacts(lines[:0], "", facts, why)
		if _, err := r.out.Write(lines); err != nil {
			return err
		}
	}
	return nil
}

// write writes what the workers make, in the order of the jobs. It returns how much could not be read.
func (r *reportRun) write(ctx context.Context) (failed int64, err error) {
	interrupted := func() error { return fmt.Errorf("interrupted after %d mails", r.mails.Load()) }
	for {
		var job *reportJob
		var is bool
		select {
		case <-ctx.Done():
			return failed, interrupted()
		case job, is = <-r.ordered:
		}
		if !is {
			return failed, nil
		}
		for due := true; due; {
			var chunk reportChunk
			select {
			case <-ctx.Done():
				return failed, interrupted()
			case chunk, due = <-job.chunks:
			}
			if chunk.err != nil {
				failed++
				r.console.tell(chunk.err)
			}
			if chunk.lines == nil {
				continue
			}
			if _, err := r.out.Write(*chunk.lines); err != nil {
				return failed, err
			}
			putBuffer(chunk.lines)
		}
	}
}

// reportSource makes jobs of the inputs.
type reportSource struct {
	run    *reportRun
	ctx    context.Context
	reader mailbox.Reader

	files []mailbox.File // small ones, for the next job
	bytes int64          // of them
}

func (s *reportSource) all() {
	for _, input := range s.run.query.inputs {
		if s.input(input) != nil {
			return // interrupted: the writer knows
		}
	}
	if s.flush() == nil {
		close(s.run.todo)
		close(s.run.ordered)
	}
}

// input makes jobs of one input. Its only error is that of the context.
func (s *reportSource) input(input string) error {
	if input == "-" {
		return s.large(mailbox.File{Path: input}, s.run.stdin)
	}
	info, err := os.Stat(input)
	switch {
	case err != nil:
		return s.failed(input, err)
	case info.IsDir():
		return mailbox.Walk(input, func(f mailbox.File, err error) error {
			if err != nil {
				return s.failed(f.Path, err)
			}
			return s.file(f)
		})
	}
	f := mailbox.NewFile(input)
	f.Size = info.Size()
	if !info.Mode().IsRegular() { // a pipe, say: its size says nothing
		f.Size = smallFile + 1
	}
	return s.file(f)
}

func (s *reportSource) file(f mailbox.File) error {
	if f.Size > smallFile {
		file, err := os.Open(f.Path)
		if err != nil {
			return s.failed(f.Path, err)
		}
		defer file.Close()
		return s.large(f, file)
	}
	s.files, s.bytes = append(s.files, f), s.bytes+f.Size
	if len(s.files) < jobMails && s.bytes < jobBytes {
		return nil
	}
	return s.flush()
}

// flush hands over the small files.
func (s *reportSource) flush() error {
	if len(s.files) == 0 {
		return s.ctx.Err()
	}
	job := &reportJob{files: s.files}
	s.files, s.bytes = nil, 0
	return s.hand(job)
}

func (s *reportSource) failed(path string, err error) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.hand(&reportJob{err: nameError(path, err)})
}

// large hands over the mails of a file, a batch at a time.
func (s *reportSource) large(f mailbox.File, src io.Reader) error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.reader.Reset(src, f.Single, maxReportBytes); err != nil {
		return s.hand(&reportJob{err: nameError(f.Path, err)})
	}
	more, number := true, 1
	for numbered := false; more; {
		job := &reportJob{name: f.Path, mails: *getBuffer()}
		more = s.batch(job)
		// A single mail keeps the name of its file.
		if numbered = numbered || len(job.ends) > 1 || s.reader.More(); numbered {
			job.first = number
		}
		number += len(job.ends)
		if err := s.hand(job); err != nil {
			return err
		}
	}
	return nil
}

// batch reads mails into a job. It reports whether there are more.
func (s *reportSource) batch(job *reportJob) bool {
	for len(job.ends) < jobMails && len(job.mails) < jobBytes {
		mails, err := s.reader.Next(job.mails)
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil && !errors.Is(err, mailbox.ErrTooLarge):
			job.err = nameError(job.name, err)
			return false
		}
		job.mails = mails
		job.ends = append(job.ends, mailEnd{end: len(mails), err: err})
	}
	return true
}

// hand gives a job to the workers and to the writer.
func (s *reportSource) hand(job *reportJob) error {
	job.chunks = make(chan reportChunk, 2)
	if err := s.run.memory.Acquire(s.ctx, job.size()); err != nil {
		return err
	}
	for _, to := range []chan *reportJob{s.run.ordered, s.run.todo} {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case to <- job:
		}
	}
	return nil
}

// size is what a job's mails count for in the bound on memory.
func (j *reportJob) size() int64 { return min(int64(len(j.mails)), reportMemory) }

// reportWorker does jobs.
type reportWorker struct {
	run    *reportRun
	ctx    context.Context
	counts *reportCounts
	reader mailbox.Reader
	mail   []byte  // room for one
	lines  *[]byte // not yet handed over
}

func (w *reportWorker) all() {
	for {
		select {
		case <-w.ctx.Done():
			return
		case job, is := <-w.run.todo:
			if !is || w.do(job) != nil {
				return
			}
		}
	}
}

// do does a job. Its only error is that of the context, as is that of all below.
func (w *reportWorker) do(job *reportJob) error {
	defer close(job.chunks)
	for _, f := range job.files {
		if err := w.file(job, f); err != nil {
			return err
		}
	}
	start := 0
	for i, m := range job.ends {
		name := job.name
		if job.first > 0 {
			name = numbered(name, job.first+i)
		}
		if err := w.one(job, name, job.mails[start:m.end], m.err); err != nil {
			return err
		}
		start = m.end
	}
	w.run.memory.Release(job.size())
	putBuffer(&job.mails)
	return w.hand(job, job.err)
}

// file reads one small file.
func (w *reportWorker) file(job *reportJob, f mailbox.File) error {
	file, err := os.Open(f.Path)
	if err != nil {
		return w.hand(job, nameError(f.Path, err))
	}
	defer file.Close()
	if err := w.reader.Reset(file, f.Single, maxReportBytes); err != nil {
		return w.hand(job, nameError(f.Path, err))
	}
	for n := 1; ; n++ {
		if cap(w.mail) > maxBuffer {
			w.mail = nil
		}
		w.mail, err = w.reader.Next(w.mail[:0])
		if errors.Is(err, io.EOF) {
			return nil
		}
		name := f.Path
		if n > 1 || w.reader.More() {
			name = numbered(name, n)
		}
		if err != nil && !errors.Is(err, mailbox.ErrTooLarge) {
			return w.hand(job, nameError(f.Path, err))
		}
		if err := w.one(job, name, w.mail, err); err != nil {
			return err
		}
	}
}

// one tells what a mail says, or why it was not read.
func (w *reportWorker) one(job *reportJob, name string, mail []byte, err error) error {
	if err != nil {
		return w.hand(job, fmt.Errorf("%s: larger than %d bytes", name, maxReportBytes))
	}
	facts, why := w.run.query.mailFacts(mail)
	w.run.mails.Add(1)
	if w.run.query.summary {
		w.counts.count(facts)
		return w.ctx.Err()
	}
	if w.lines == nil {
		w.lines = getBuffer()
	}
	*w.lines = w.run.query.appendFacts(*w.lines, name, facts, why)
	if len(*w.lines) < chunkBytes {
		return w.ctx.Err()
	}
	return w.hand(job, nil)
}

// hand gives the writer the lines that there are, and behind them an error.
func (w *reportWorker) hand(job *reportJob, err error) error {
	chunk := reportChunk{lines: w.lines, err: err}
	if w.lines = nil; chunk == (reportChunk{}) {
		return w.ctx.Err()
	}
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case job.chunks <- chunk:
		return nil
	}
}

// numbered is the name of the n-th mail of an mbox.
func numbered(file string, n int) string { return file + "#" + strconv.Itoa(n) }

// nameError makes sure that an error names the file.
func nameError(path string, err error) error {
	if named := (*fs.PathError)(nil); errors.As(err, &named) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// maxBuffer is the largest buffer that is kept for another use.
const maxBuffer = 4 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) > maxBuffer {
		return
	}
	*b = (*b)[:0]
	buffers.Put(b)
}
