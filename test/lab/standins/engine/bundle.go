package engine

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Unpack puts the programs that are packed behind this one (bundle.sh) into a directory, whole or not at all.
func Unpack(dir string) error {
	if Exists(dir) {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	archive, err := zip.OpenReader(self)
	if err != nil {
		return fmt.Errorf("%s has no programs packed behind it (test/lab/standins/build.sh makes whole ones): %w", self, err)
	}
	defer archive.Close()
	part := fmt.Sprintf("%s.%d", dir, os.Getpid())
	if err := os.MkdirAll(part, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	for _, file := range archive.File {
		if err := unpackFile(file, filepath.Join(part, filepath.Base(file.Name))); err != nil {
			return fmt.Errorf("unpacking %s: %w", file.Name, err)
		}
	}
	if err := os.Rename(part, dir); err != nil && !Exists(dir) {
		return err
	}
	return nil
}

// BundleID names what is packed behind this program: another version has another one.
func BundleID() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	archive, err := zip.OpenReader(self)
	if err != nil {
		return "", fmt.Errorf("%s has no programs packed behind it: %w", self, err)
	}
	defer archive.Close()
	id := uint64(14695981039346656037)
	for _, file := range archive.File {
		id = (id ^ uint64(file.CRC32)) * 1099511628211
	}
	return fmt.Sprintf("%016x%016x%016x%016x", id, id*3, id*5, id*7), nil
}

func unpackFile(file *zip.File, target string) error {
	reader, err := file.Open()
	if err != nil {
		return err
	}
	defer reader.Close()
	writer, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(writer, reader); err != nil {
		writer.Close()
		return err
	}
	return writer.Close()
}
