package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// profilesFolder is the variable by which 'make pgo' asks nodes for profiles. It is no setting: nobody else needs it.
const profilesFolder = "CAROM_TEST_PROFILES"

// profile writes a CPU profile of the process into the folder that the environment names, if it names one, until stop is
// called.
func profile() (stop func(), err error) {
	folder := os.Getenv(profilesFolder)
	if folder == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(folder, strconv.Itoa(os.Getpid())+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profilesFolder, err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", profilesFolder, err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut can't be read, and 'make pgo' says so
	}, nil
}
