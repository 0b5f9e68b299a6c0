//go:build race

package report

// raceDetector says that the race detector runs: it makes pools forget at random.
const raceDetector = true
