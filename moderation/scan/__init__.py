"""The cascade of detectors: what is looked at, how often, and what a look counts for.

Uploaded media is looked at whole, at full resolution (:mod:`.media`), and so is the map (:mod:`.maps`). Play
is looked at in pieces (:mod:`.play`, :mod:`.cascade`): flashing and loudness on every frame and sample;
pictures and writing on frames that look new, for all frames that look like them, by cheap and moderate
detectors on more frames than by costly ones, and once more where one frame alone alarms a cheap one
(:mod:`.lasting`); speech where a clip is heard in a new situation. What was seen or heard once is a finding
in every playthrough that shows it (:mod:`.conclude`), so that counts of playthroughs stay true. A random
sample of moments is looked at by everything, so that what the cascade misses is measured (:mod:`.audit`). A
detector that fails leaves a failed :class:`policies.types.DetectorRun`.

Nothing here touches the store: :mod:`moderation.pipeline` keeps what these functions give.
"""

from moderation.scan.audit import Moment, Tally, audit, pictures, recalls, tallies_from, tallies_json
from moderation.scan.cascade import (
    BATCH,
    CHEAP_LOOKS,
    Looked,
    asked_for,
    cheap,
    choose_frames,
    costly,
    every,
    moderate,
    see,
    stand_ins,
)
from moderation.scan.conclude import CUT, Shown, conclude
from moderation.scan.detectors import Detectors, load_detectors
from moderation.scan.lasting import again, doubtful
from moderation.scan.looking import (
    Report,
    Seen,
    detection_from,
    detection_json,
    finding,
    heard_from,
    heard_json,
    look,
    moved,
    seen_from,
    seen_json,
)
from moderation.scan.maps import scan_map
from moderation.scan.media import scan_media
from moderation.scan.play import PlayLook, PlayScanner, situations_of

__all__ = [
    "BATCH",
    "CHEAP_LOOKS",
    "CUT",
    "Detectors",
    "Looked",
    "Moment",
    "PlayLook",
    "PlayScanner",
    "Report",
    "Seen",
    "Shown",
    "Tally",
    "again",
    "asked_for",
    "audit",
    "cheap",
    "choose_frames",
    "conclude",
    "costly",
    "detection_from",
    "detection_json",
    "doubtful",
    "every",
    "finding",
    "heard_from",
    "heard_json",
    "load_detectors",
    "look",
    "moderate",
    "moved",
    "pictures",
    "recalls",
    "scan_map",
    "scan_media",
    "see",
    "seen_from",
    "seen_json",
    "situations_of",
    "stand_ins",
    "tallies_from",
    "tallies_json",
]
