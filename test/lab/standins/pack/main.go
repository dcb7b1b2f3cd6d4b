// Pack puts programs behind a stand-in, as a zip archive that the stand-in finds in its own file, and lets the parts of Kubernetes among
// them say another version of themselves.
//
//	pack -from v1.20.2 -to v1.30.4+k3s1 -out FILE STAND-IN PROGRAM…
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"debug/elf"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	from := flag.String("from", "", "the version that the programs have")
	to := flag.String("to", "", "the version that they shall say")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := pack(*from, *to, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(from, to, out string, files []string) error {
	target, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer target.Close()
	standIn, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	if _, err := target.Write(standIn); err != nil {
		return err
	}
	archive := zip.NewWriter(target)
	archive.SetOffset(int64(len(standIn)))
	// The archive is unpacked on every host and travels to each: quick, and small enough.
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, file := range files[1:] {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		content, err = withVersion(content, from, to)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: filepath.Base(file), Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := entry.Write(content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return target.Close()
}

// withVersion changes the value of every variable that the linker has set to a version (`-X`): a string of Go is an address and a length.
// The new text is put behind the read-only data, in what is left of their last page.
func withVersion(program []byte, from, to string) ([]byte, error) {
	if from == to || !bytes.Contains(program, []byte(from)) {
		return program, nil
	}
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		// A script.
		return program, nil
	}
	defer file.Close()
	data, rodata := file.Section(".data"), file.Section(".rodata")
	if data == nil || rodata == nil {
		return program, nil
	}
	changed := append([]byte{}, program...)
	address, err := room(file, changed, to)
	if err != nil {
		return nil, err
	}
	begin, end := rodata.Offset, rodata.Offset+rodata.FileSize
	count := 0
	for at := begin; at < end; {
		found := bytes.Index(program[at:end], []byte(from))
		if found < 0 {
			break
		}
		at += uint64(found)
		old := make([]byte, 16)
		binary.LittleEndian.PutUint64(old, rodata.Addr+at-rodata.Offset)
		binary.LittleEndian.PutUint64(old[8:], uint64(len(from)))
		if where := bytes.Index(changed[data.Offset:data.Offset+data.FileSize], old); where >= 0 {
			header := changed[data.Offset+uint64(where):]
			binary.LittleEndian.PutUint64(header, address)
			binary.LittleEndian.PutUint64(header[8:], uint64(len(to)))
			count++
		}
		at++
	}
	if count == 0 {
		// It names the version of something else.
		return program, nil
	}
	return changed, nil
}

// room writes the text behind a segment of read-only data that does not fill its last page, and gives its address in memory.
func room(file *elf.File, program []byte, text string) (uint64, error) {
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_LOAD || segment.Flags&elf.PF_W != 0 {
			continue
		}
		end := segment.Off + segment.Filesz
		if free := (4096 - end%4096) % 4096; free >= uint64(len(text)) && end+uint64(len(text)) <= uint64(len(program)) {
			copy(program[end:], text)
			return segment.Vaddr + segment.Filesz, nil
		}
	}
	return 0, fmt.Errorf("there is no room for another version")
}
