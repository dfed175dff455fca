"""What to change about a refused message, for the person at the sender's: one sentence for each place and kind of error."""

from collections.abc import Mapping

from overread.protocols.hl7 import charsets
from overread.protocols.hl7.charset_guess import UNKNOWN, charset_seen
from overread.protocols.hl7.delimiters import Delimiters
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.order import NO_TYPE
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.tokenise import Leniency, read_header
from overread.protocols.hl7.words import say

Said = tuple[str, str, str]
"""A sentence in English, Vietnamese and French."""

_C = MessageErrorCondition
_LANGUAGES: tuple[Language, ...] = ("en", "vi", "fr")

_ONE_A_BLOCK = (
    "Send one message a block, beginning with MSH; those of a batch one by one.",
    "Mỗi khối chỉ gửi một thông điệp, bắt đầu bằng MSH; lô thì gửi từng thông điệp một.",
    "Envoyez un message par bloc, commençant par MSH ; ceux d'un lot un par un.",
)
_IN_ONE_PIECE = (
    "Switch off continuation (MSH-14, DSC, ADD) at the sender: a block may hold the whole message.",
    "Hãy tắt chế độ chia nhỏ (MSH-14, DSC, ADD) ở bên gửi: một khối chứa được trọn thông điệp.",
    "Désactivez la continuation (MSH-14, DSC, ADD) chez l'émetteur : un bloc peut contenir le message entier.",
)

_NO_TYPE = (
    "Let the sender write the type of the message into MSH-9, as ORM^O01.",
    "Bên gửi cần ghi loại thông điệp vào MSH-9, ví dụ ORM^O01.",
    "L'émetteur doit écrire le type du message en MSH-9, comme ORM^O01.",
)

_OF_PLACES: Mapping[tuple[MessageErrorCondition, str], Said] = {
    **{(_C.SEGMENT_SEQUENCE_ERROR, name): _ONE_A_BLOCK for name in ("MSH", "FHS", "BHS", "BTS", "FTS")},
    **{(_C.SEGMENT_SEQUENCE_ERROR, place): _IN_ONE_PIECE for place in ("MSH-14", "DSC", "ADD")},
    (_C.DATA_TYPE_ERROR, "MSH-13"): (
        "Switch off sequence numbers at the sender, so that MSH-13 stays empty; repeats are known by MSH-10.",
        "Hãy tắt số thứ tự ở bên gửi để MSH-13 để trống; thông điệp gửi lại được nhận ra qua MSH-10.",
        "Désactivez les numéros de séquence chez l'émetteur, MSH-13 restant vide ; MSH-10 fait connaître les répétitions.",
    ),
    (_C.SEGMENT_SEQUENCE_ERROR, "PID"): (
        "Let the sender add a PID segment with the patient's number in PID-3.",
        "Bên gửi cần thêm đoạn PID với mã người bệnh ở PID-3.",
        "L'émetteur doit ajouter un segment PID avec le numéro du patient en PID-3.",
    ),
    (_C.SEGMENT_SEQUENCE_ERROR, "ORC"): (
        "Let the sender put an ORC segment before each OBR, with the control in ORC-1.",
        "Bên gửi cần đặt đoạn ORC trước mỗi OBR, với mã điều khiển chỉ định ở ORC-1.",
        "L'émetteur doit mettre un segment ORC avant chaque OBR, avec le code de commande en ORC-1.",
    ),
    (_C.SEGMENT_SEQUENCE_ERROR, "OBR"): (
        "Let the sender add an OBR after ORC that says in OBR-4 what is asked for.",
        "Bên gửi cần thêm đoạn OBR sau ORC, OBR-4 nêu dịch vụ được chỉ định.",
        "L'émetteur doit ajouter après ORC un OBR qui dit en OBR-4 ce qui est demandé.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "MSH-2"): (
        r"MSH must begin with MSH|^~\& or five other characters that differ.",
        r"MSH phải bắt đầu bằng MSH|^~\& hoặc năm ký tự khác nhau.",
        r"MSH doit commencer par MSH|^~\& ou par cinq autres caractères distincts.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "MSH-10"): (
        "Let the sender give each message a control ID of its own in MSH-10.",
        "Bên gửi cần cho mỗi thông điệp một mã kiểm soát riêng ở MSH-10.",
        "L'émetteur doit donner à chaque message son propre identifiant de contrôle en MSH-10.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "PID-3"): (
        "Let the sender put the record number into PID-3, as in BN000123^^^BVX^MR.",
        "Bên gửi cần ghi số hồ sơ người bệnh vào PID-3, ví dụ BN000123^^^BVX^MR.",
        "L'émetteur doit mettre le numéro de dossier en PID-3, comme BN000123^^^BVX^MR.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "ORC-1"): (
        "Let the sender put NW (new), XO (change) or CA (cancel) into ORC-1.",
        "Bên gửi cần ghi NW (mới), XO (sửa) hoặc CA (huỷ) vào ORC-1.",
        "L'émetteur doit mettre NW (nouveau), XO (modifier) ou CA (annuler) en ORC-1.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "ORC-2"): (
        "Let the sender put its own order number into ORC-2, the same each time.",
        "Bên gửi cần ghi số chỉ định của mình vào ORC-2, giữ nguyên qua các lần gửi.",
        "L'émetteur doit mettre son propre numéro de demande en ORC-2, chaque fois le même.",
    ),
    (_C.REQUIRED_FIELD_MISSING, "OBR-4"): (
        "Let the sender put the code of what is ordered into OBR-4: code^text^system.",
        "Bên gửi cần ghi mã dịch vụ vào OBR-4: mã^tên^hệ mã.",
        "L'émetteur doit mettre le code de l'acte demandé en OBR-4 : code^texte^système.",
    ),
    (_C.DATA_TYPE_ERROR, "PID-7"): (
        "PID-7 must read YYYYMMDD, or be empty where the date is not known.",
        "PID-7 phải có dạng YYYYMMDD, hoặc để trống khi không rõ ngày sinh.",
        "PID-7 doit s'écrire YYYYMMDD, ou rester vide si la date est inconnue.",
    ),
    (_C.TABLE_VALUE_NOT_FOUND, "MSH-3"): (
        "Send as one of the link's allowed_applications, or add this sender to them.",
        "Hãy gửi với tên có trong allowed_applications của kênh, hoặc thêm bên gửi này vào đó.",
        "Envoyez sous un nom de allowed_applications du lien, ou ajoutez-y cet émetteur.",
    ),
    (_C.TABLE_VALUE_NOT_FOUND, "MSH-18"): (
        "Let the sender write UNICODE UTF-8 into MSH-18, or name its charset as fallback_charset of the link.",
        "Bên gửi cần ghi UNICODE UTF-8 vào MSH-18, hoặc khai báo bảng mã ở fallback_charset của kênh.",
        "L'émetteur doit écrire UNICODE UTF-8 en MSH-18, ou le lien doit nommer son jeu dans fallback_charset.",
    ),
    (_C.TABLE_VALUE_NOT_FOUND, "ORC-1"): (
        "Let the sender use one of the order controls that are taken.",
        "Bên gửi cần dùng một mã điều khiển chỉ định được nhận.",
        "L'émetteur doit employer un des codes de commande acceptés.",
    ),
}

_OF_CONDITIONS: Mapping[MessageErrorCondition, Said] = {
    _C.SEGMENT_SEQUENCE_ERROR: (
        "Let the sender add the segment that is missing, in the order of the message structure.",
        "Bên gửi cần thêm đoạn còn thiếu, đúng thứ tự cấu trúc thông điệp.",
        "L'émetteur doit ajouter le segment manquant, dans l'ordre de la structure du message.",
    ),
    _C.REQUIRED_FIELD_MISSING: (
        "Let the sender fill this field.",
        "Bên gửi cần điền trường này.",
        "L'émetteur doit remplir ce champ.",
    ),
    _C.DATA_TYPE_ERROR: (
        "Let the sender write the value in the form of its data type; times read YYYYMMDDHHMMSS.",
        "Bên gửi cần ghi giá trị đúng kiểu dữ liệu; thời điểm có dạng YYYYMMDDHHMMSS.",
        "L'émetteur doit écrire la valeur selon son type ; une heure s'écrit YYYYMMDDHHMMSS.",
    ),
    _C.TABLE_VALUE_NOT_FOUND: (
        "Let the sender use a value of the field's table.",
        "Bên gửi cần dùng một giá trị trong bảng mã của trường.",
        "L'émetteur doit employer une valeur de la table du champ.",
    ),
    _C.UNSUPPORTED_MESSAGE_TYPE: (
        "Overread has no use for this type: switch it off at the sender for this line.",
        "Overread không dùng loại thông điệp này: hãy tắt nó ở bên gửi cho kênh này.",
        "Overread n'a pas d'usage pour ce type : désactivez-le chez l'émetteur pour cette ligne.",
    ),
    _C.UNSUPPORTED_EVENT_CODE: (
        "Overread has no use for this event: switch it off at the sender for this line.",
        "Overread không dùng sự kiện này: hãy tắt nó ở bên gửi cho kênh này.",
        "Overread n'a pas d'usage pour cet événement : désactivez-le chez l'émetteur pour cette ligne.",
    ),
    _C.UNSUPPORTED_PROCESSING_ID: (
        "MSH-11 must be one of the link's processing_ids (P is production, T a test): let the sender, or the link, change.",
        "MSH-11 phải có trong processing_ids của kênh (P là thật, T là thử nghiệm): hãy sửa ở bên gửi hoặc ở kênh.",
        "MSH-11 doit être dans processing_ids du lien (P : production, T : test) : changez l'émetteur ou le lien.",
    ),
    _C.UNSUPPORTED_VERSION_ID: (
        "Let the sender send one of the versions that the link takes (2.5.1 is usual), or add it to the link's versions.",
        "Bên gửi cần dùng một phiên bản mà kênh nhận (thường là 2.5.1), hoặc thêm phiên bản này vào versions của kênh.",
        "L'émetteur doit envoyer une version acceptée (2.5.1 d'usage), ou le lien ajouter celle-ci à versions.",
    ),
    _C.UNKNOWN_KEY_IDENTIFIER: (
        "Send first the message that makes this number known.",
        "Hãy gửi trước thông điệp khai báo số này.",
        "Envoyez d'abord le message qui fait connaître ce numéro.",
    ),
    _C.DUPLICATE_KEY_IDENTIFIER: (
        "Let the sender give each message a control ID of its own; a repeat has the same bytes.",
        "Bên gửi cần cho mỗi thông điệp một mã kiểm soát riêng; gửi lại thì giữ nguyên từng byte.",
        "L'émetteur doit donner à chaque message son propre identifiant ; une répétition a les mêmes octets.",
    ),
    _C.APPLICATION_RECORD_LOCKED: (
        "Send the message again later.",
        "Hãy gửi lại thông điệp sau.",
        "Renvoyez le message plus tard.",
    ),
    _C.APPLICATION_INTERNAL_ERROR: (
        "The message may be right: send it again later, or raise the link's limits.",
        "Thông điệp có thể đúng: hãy gửi lại sau, hoặc nâng giới hạn của kênh.",
        "Le message est peut-être juste : renvoyez-le plus tard, ou relevez les limites du lien.",
    ),
}

LENIENCIES: Mapping[Leniency, str] = {
    Leniency.BYTE_ORDER_MARK: "A byte order mark stands before MSH. It is passed over; better without.",
    Leniency.BLANK_BEFORE_MSH: "White space stands before MSH. It is passed over; better without.",
    Leniency.LINE_FEED: "Segments end in line feeds. They are taken; by the standard a segment ends in CR (0x0D) alone.",
    Leniency.CHARACTER_SET: "The text is read in the charset of the link's setting, since MSH-18 does not name it.",
}
"""What was let pass, in words for the sender's owner; `words.say` has them in other languages."""


def what_to_change(error: HL7Error, language: Language = "en", *, is_about_charset: bool = False) -> str:
    """Say what the sender's owner is to change; bytes that are no text are the charset's fault, wherever they stand."""
    if is_about_charset:
        return _OF_PLACES[(_C.TABLE_VALUE_NOT_FOUND, "MSH-18")][_LANGUAGES.index(language)]
    location = error.location
    place = ""
    if location is not None:
        place = f"{location.segment_id}-{location.field_position}" if location.field_position else location.segment_id
    if error.sentence == NO_TYPE:
        return _NO_TYPE[_LANGUAGES.index(language)]
    said = _OF_PLACES.get((error.condition, place)) or _OF_CONDITIONS[error.condition]
    return said[_LANGUAGES.index(language)]


def where_text_breaks(raw: bytes, fallback_charset: str | None = None, language: Language = "en") -> str:
    """Name the byte at which a message stops being text, and the charset that it seems to be in; empty when it is text."""
    start = raw.find(b"MSH")
    header = read_header(raw)
    try:
        codec = charsets.codec_for(header.component(18, 1), fallback_charset)
    except HL7Error:
        return ""
    body = raw[max(start, 0) :]
    at = charsets.undecodable_at(body, codec)
    if at is None:
        return ""
    place = _place_of(body[:at], header.delimiters)
    sentence = "Byte {at} of the message (0x{byte}) is no text in {codec}" + (", in {place}." if place else ".")
    values = {"at": max(start, 0) + at + 1, "byte": f"{body[at]:02X}", "codec": codec, "place": place}
    return f"{say(language, sentence, **values)} {_seems_to_be(body, codec, language)}"


def _place_of(before: bytes, delimiters: Delimiters) -> str:
    line = before.replace(b"\n", b"\r").rpartition(b"\r")[2]
    name = line[:3].decode("ascii", "replace")
    number = line.count(delimiters.field.encode()) + (name == "MSH")
    return f"{name}-{number}" if name.isalnum() and number else ""


def _seems_to_be(body: bytes, codec: str, language: Language) -> str:
    seen = charset_seen(body)
    if seen in (UNKNOWN, codec):
        sentence = "It is neither UTF-8 nor old Vietnamese text: ask the sender's maker which charset it writes."
    elif seen == "utf-8":
        sentence = (
            "It seems to be {seen}: let the sender declare UNICODE UTF-8 in MSH-18, or "
            'set fallback_charset = "{seen}" for the link.'
        )
    else:
        sentence = 'It seems to be {seen}: where MSH-18 stays empty set fallback_charset = "{seen}" for the link.'
    return say(language, sentence, seen=seen)
