"""The errors of Imageyard: one tree, each message naming the thing, the place and the remedy.

ImageyardError
├── StoreError            the store could not do it (network, permission, missing bucket)
│   ├── NotFoundError     no such object
│   ├── ExistsError       create refused: the object is already there
│   └── ChangedError      the object is no longer the one that was listed
├── QueueError            the queue of events could not do it
├── ManifestError         a manifest or a line is not what it must be
├── SampleError           a sample is not in the version, or cannot be what is asked of it
├── VersionError          no such version, or a version record that cannot be read
├── CommitError           the version could not be committed
│   └── StaleError        the dataset has another newest version than the caller has seen
├── RecipeError           the recipe is wrong
├── ModelError            a model is missing, or cannot run as asked
└── JobError              the job cannot go on
    ├── JobMissingError   no such job
    ├── JobTakenError     a job of that id was asked for something else
    ├── JobEndedError     the job has ended, or was cancelled, so it does not run
    └── ClusterError      the Ray cluster cannot be reached, or refuses
"""


class ImageyardError(Exception):
    """Anything a caller of Imageyard may want to catch; its text is fit to be shown to a person."""


class StoreError(ImageyardError):
    """The store could not do what was asked."""


class NotFoundError(StoreError):
    """No object of that key."""


class ExistsError(StoreError):
    """An object of that key is already there; it was left as it is."""


class ChangedError(StoreError):
    """The object changed or went away since it was listed."""


class QueueError(ImageyardError):
    """The queue of events could not do what was asked."""


class ManifestError(ImageyardError):
    """A manifest, or one line of it, is malformed."""


class SampleError(ImageyardError):
    """A sample is not in the version, or cannot be what is asked of it."""


class VersionError(ImageyardError):
    """A version does not exist or its record cannot be read."""


class CommitError(ImageyardError):
    """A version could not be committed."""


class StaleError(CommitError):
    """The newest version is not the one that the caller has seen; nothing was committed."""


class RecipeError(ImageyardError):
    """A recipe says something that cannot be done."""


class ModelError(ImageyardError):
    """A model is missing or cannot run as asked."""


class JobError(ImageyardError):
    """A job cannot go on."""


class JobMissingError(JobError):
    """The dataset has no job of that id."""


class JobTakenError(JobError):
    """A job of that id is there, and it was asked for something else."""


class JobEndedError(JobError):
    """The job has ended, or somebody has cancelled it; an attempt at it stops here."""


class ClusterError(JobError):
    """The Ray cluster cannot be reached or refuses; nothing is lost, and asking again may help."""
