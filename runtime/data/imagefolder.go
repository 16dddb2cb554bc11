package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// OnCorrupt is what to do with a broken file.
type OnCorrupt string

// The treatments of a broken file: Skip passes over it and remembers it for SkipReporter, Fail is an error that names it.
const (
	Skip OnCorrupt = "skip"
	Fail OnCorrupt = "fail"
)

// ImageSpec is how an image file becomes numbers.
type ImageSpec struct {
	// Height and Width are in pixels.
	Height, Width int
	// Channels is 3 (RGB) or 1 (gray).
	Channels int
	// Resize is Nearest if it is "", Orientation UprightEXIF.
	Resize      Resize
	Orientation Orientation
	// MaxPixels is the largest image that is decoded; 100 million if it is 0.
	MaxPixels int64
}

// ImageFolderConfig says where the images are: in Train, Validation and Test, or in Path, to be split.
type ImageFolderConfig struct {
	ImageSpec
	// Root is the folder that the other ones are relative to.
	Root string
	// Train, Validation and Test are folders that hold one folder per class; "" for a split that does not exist.
	Train, Validation, Test string
	// Path is one folder that holds one folder per class; the examples of each class are dealt as Division says.
	Path string
	Division
	// Classes are the folders to use, in the order of their ids; if nil, all folders, sorted.
	Classes []string
	// OnCorrupt is Skip if it is "".
	OnCorrupt OnCorrupt
	// CacheBytes is how many bytes of decoded pixels are kept, over all splits; 512 MiB if it is 0, none if it is negative.
	CacheBytes int64
}

var splitNames = [3]string{"training", "validation", "test"}

// ImageFolder returns sources of labelled images, with the fields image f32[height, width, channels], values 0…255, and
// label i32, the index of the class's folder. Each split is in the order of classes, then of paths, as in Keras.
// JPEG, PNG, GIF and BMP files are known by their contents; hidden files are passed over.
//
// Errors: a folder that is missing or laid out in another way, classes that differ between the splits, a broken file under Fail,
// settings out of range.
func ImageFolder(cfg ImageFolderConfig) (*Dataset, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Path != "" {
		return cfg.openSplit()
	}
	return cfg.openSeparate()
}

func (s ImageSpec) withDefaults() ImageSpec {
	if s.Resize == "" {
		s.Resize = Nearest
	}
	if s.Orientation == "" {
		s.Orientation = UprightEXIF
	}
	if s.MaxPixels == 0 {
		s.MaxPixels = maxPixels
	}
	return s
}

func (cfg ImageFolderConfig) withDefaults() ImageFolderConfig {
	cfg.ImageSpec = cfg.ImageSpec.withDefaults()
	if cfg.OnCorrupt == "" {
		cfg.OnCorrupt = Skip
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 512 << 20
	}
	return cfg
}

// maxSide bounds the size that images are resized to.
const maxSide = 1 << 14

func (s ImageSpec) check() error {
	switch {
	case s.Height < 1 || s.Width < 1 || s.Height > maxSide || s.Width > maxSide:
		return fmt.Errorf("image size %d × %d: each side must be between 1 and %d", s.Height, s.Width, maxSide)
	case s.Channels != 1 && s.Channels != 3:
		return fmt.Errorf("%d channels: an image has 3 (RGB) or 1 (gray)", s.Channels)
	case s.Resize != Nearest && s.Resize != Bilinear:
		return fmt.Errorf("resize %q: it is %q or %q", s.Resize, Nearest, Bilinear)
	case s.Orientation != UprightEXIF && s.Orientation != KeepPixels:
		return fmt.Errorf("orientation %q: it is %q or %q", s.Orientation, UprightEXIF, KeepPixels)
	}
	return nil
}

func (cfg ImageFolderConfig) check() error {
	if err := cfg.ImageSpec.check(); err != nil {
		return err
	}
	if cfg.OnCorrupt != Skip && cfg.OnCorrupt != Fail {
		return fmt.Errorf("on_corrupt %q: it is %q or %q", cfg.OnCorrupt, Skip, Fail)
	}
	separate := cfg.Train != "" || cfg.Validation != "" || cfg.Test != ""
	switch {
	case !separate && cfg.Path == "":
		return fmt.Errorf("no folder of images is given: name a training folder, or one folder to be split")
	case separate && cfg.Path != "":
		return fmt.Errorf("both one folder to be split (%s) and separate folders are given: use one or the other", cfg.Path)
	}
	for i, c := range cfg.Classes {
		if c == "" || c != filepath.Base(c) || c == "." || c == ".." {
			return fmt.Errorf("class %q is not the name of a folder", c)
		}
		if slices.Contains(cfg.Classes[:i], c) {
			return fmt.Errorf("class %q is listed twice", c)
		}
	}
	if cfg.Path != "" {
		return cfg.Division.check()
	}
	return nil
}

func (cfg ImageFolderConfig) resolve(folder string) string {
	if filepath.IsAbs(folder) {
		return filepath.Clean(folder)
	}
	return filepath.Join(cfg.Root, folder)
}

// openSeparate opens a folder per split.
func (cfg ImageFolderConfig) openSeparate() (*Dataset, error) {
	ds := &Dataset{}
	pixels := newPixelCache(cfg.CacheBytes)
	slots := [3]*Source{&ds.Train, &ds.Validation, &ds.Test}
	var first *folderScan
	var counts []string
	scans := make([]*folderScan, 0, 3)
	for i, name := range [3]string{cfg.Train, cfg.Validation, cfg.Test} {
		if name == "" {
			continue
		}
		scan, err := scanClasses(cfg.resolve(name), cfg.Classes)
		if err != nil {
			return nil, fmt.Errorf("%s images: %w", splitNames[i], err)
		}
		if first == nil {
			first, ds.Labels = scan, scan.classNames()
		} else if !slices.Equal(ds.Labels, scan.classNames()) {
			return nil, fmt.Errorf("the splits have different classes: %s has %s, %s has %s",
				first.root, strings.Join(ds.Labels, ", "), scan.root, strings.Join(scan.classNames(), ", "))
		}
		if err := cfg.checkBroken(scan); err != nil {
			return nil, err
		}
		scans = append(scans, scan)
		counts = append(counts, fmt.Sprintf("%s: %s", splitNames[i], scan.counts()))
		var files []imageFile
		for _, c := range scan.classes {
			files = append(files, c.files...)
		}
		*slots[i] = newImageSource(cfg, ds.Labels, scan.root, files, scan.broken, pixels)
	}
	ds.Notes = append([]string{strings.Join(counts, "; ")}, ignoredNotes(scans)...)
	ds.Kept = cfg.kept(ds)
	return ds, nil
}

// openSplit opens one folder and deals its images out.
func (cfg ImageFolderConfig) openSplit() (*Dataset, error) {
	scan, err := scanClasses(cfg.resolve(cfg.Path), cfg.Classes)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkBroken(scan); err != nil {
		return nil, err
	}
	ds := &Dataset{Labels: scan.classNames()}
	pixels := newPixelCache(cfg.CacheBytes)
	var parts [3][]imageFile
	dealt := 0
	for i, c := range scan.classes {
		for k, indices := range cfg.deal(uint64(i), len(c.files), dealt) {
			for _, j := range indices {
				parts[k] = append(parts[k], c.files[j])
			}
		}
		dealt += len(c.files)
	}
	if err := cfg.enough(scan.root+": "+scan.counts(), [3]int{len(parts[0]), len(parts[1]), len(parts[2])}); err != nil {
		return nil, err
	}
	broken := scan.broken
	var sizes []string
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		if len(parts[k]) == 0 {
			continue
		}
		*slot = newImageSource(cfg, ds.Labels, scan.root, parts[k], broken, pixels)
		broken = nil // they belong to no split; the first source reports them once
		sizes = append(sizes, fmt.Sprintf("%d %s", len(parts[k]), splitNames[k]))
	}
	note := fmt.Sprintf("%s: %s (%s)", scan.counts(), strings.Join(sizes, ", "), cfg.Division)
	ds.Notes = append([]string{note}, ignoredNotes([]*folderScan{scan})...)
	ds.Kept = cfg.kept(ds)
	return ds, nil
}

// kept is the size of all pixels, or of the cache.
func (cfg ImageFolderConfig) kept(ds *Dataset) int64 {
	total := int64(0)
	for _, src := range []Source{ds.Train, ds.Validation, ds.Test} {
		if src != nil {
			total += int64(src.Len()) * int64(cfg.Height*cfg.Width*cfg.Channels)
		}
	}
	return min(total, max(cfg.CacheBytes, 0))
}

func (cfg ImageFolderConfig) checkBroken(scan *folderScan) error {
	if cfg.OnCorrupt == Fail && len(scan.broken) > 0 {
		return fmt.Errorf("broken image %s", scan.broken[0])
	}
	return nil
}
