"""What we tell a sender, in three languages: one row for each sentence that an HL7Error is raised with.

The English sentence is what the code says where it raises; `{…}` stands for what varies. A key never changes: it is sent
as ERR-5, so that a sender may act on it. Who raises a new sentence adds its row; a test names the row that is missing.
A translation may leave out `{reason}`, which is in English, for those who look after the server.
"""

from typing import NamedTuple


class Sentence(NamedTuple):
    """One sentence by its key, in English, Vietnamese and French."""

    key: str
    en: str
    vi: str
    fr: str


SENTENCES = (
    # Messages that a person mended
    Sentence(
        "mended-sender-differs",
        "A mended message names its sender (MSH-3, MSH-4) as the message that it stands for.",
        "Thông điệp đã sửa phải giữ nguyên bên gửi (MSH-3, MSH-4) của thông điệp mà nó thay thế.",
        "Un message corrigé nomme son émetteur (MSH-3, MSH-4) comme le message qu'il remplace.",
    ),
    # Text
    Sentence(
        "charset-not-taken",
        "MSH-18 names a character set that is not taken; send UNICODE UTF-8, or declare one for the link.",
        "MSH-18 nêu bảng mã không được nhận; hãy gửi UNICODE UTF-8, hoặc khai báo bảng mã cho kênh này.",
        "MSH-18 nomme un jeu de caractères non pris en charge ; envoyez UNICODE UTF-8 ou déclarez-en un pour ce lien.",
    ),
    Sentence(
        "utf-16-not-taken",
        "UTF-16 and UTF-32 hold bytes that end an MLLP block and are not taken; send UNICODE UTF-8.",
        "UTF-16 và UTF-32 chứa các byte kết thúc khối MLLP nên không được nhận; hãy gửi UNICODE UTF-8.",
        "UTF-16 et UTF-32 contiennent des octets qui terminent un bloc MLLP : refusés ; envoyez UNICODE UTF-8.",
    ),
    Sentence(
        "not-text",
        "Bytes that are no text in this message's character set ({charset}); MSH-18 must name the one in use.",
        "Có byte không phải chữ trong bảng mã của thông điệp ({charset}); MSH-18 phải nêu đúng bảng mã đang dùng.",
        "Des octets ne sont pas du texte dans le jeu du message ({charset}) ; MSH-18 doit nommer celui qui est utilisé.",
    ),
    # The message as a whole
    Sentence(
        "no-msh",
        "The message does not begin with an MSH segment.",
        "Thông điệp không bắt đầu bằng đoạn MSH.",
        "Le message ne commence pas par un segment MSH.",
    ),
    Sentence(
        "delimiters-unusable",
        "MSH-1 and MSH-2 do not hold usable delimiters.",
        "MSH-1 và MSH-2 không chứa ký tự phân cách dùng được.",
        "MSH-1 et MSH-2 ne contiennent pas de délimiteurs utilisables.",
    ),
    Sentence(
        "several-messages",
        "The frame holds more than one message.",
        "Khối chứa nhiều hơn một thông điệp.",
        "Le bloc contient plus d'un message.",
    ),
    Sentence(
        "batch",
        "The frame holds a batch (FHS, BHS, BTS, FTS); send its messages one by one.",
        "Khối chứa một lô (FHS, BHS, BTS, FTS); hãy gửi từng thông điệp một.",
        "Le bloc contient un lot (FHS, BHS, BTS, FTS) ; envoyez ses messages un par un.",
    ),
    Sentence(
        "continued-message",
        "The message is one part of a longer one (MSH-14, DSC, ADD); send the whole message in one block.",
        "Thông điệp chỉ là một phần của thông điệp dài hơn (MSH-14, DSC, ADD); hãy gửi trọn vẹn trong một khối.",
        "Le message est une partie d'un plus long (MSH-14, DSC, ADD) ; envoyez le message entier en un bloc.",
    ),
    Sentence(
        "sequence-number",
        "MSH-13 announces sequence numbers, which are not kept here; leave MSH-13 empty.",
        "MSH-13 báo dùng số thứ tự, nhưng ở đây không theo dõi số thứ tự; hãy để trống MSH-13.",
        "MSH-13 annonce des numéros de séquence, qui ne sont pas suivis ici ; laissez MSH-13 vide.",
    ),
    Sentence(
        "too-large",
        "The message is larger than this link takes ({bytes} bytes).",
        "Thông điệp lớn hơn mức kênh này nhận ({bytes} byte).",
        "Le message dépasse ce que ce lien accepte ({bytes} octets).",
    ),
    Sentence(
        "not-kept",
        "The message could not be kept, send it again later: {reason}.",
        "Chưa lưu được thông điệp, hãy gửi lại sau.",
        "Le message n'a pas pu être conservé, renvoyez-le plus tard.",
    ),
    # Header
    Sentence(
        "no-message-type",
        "MSH-9 is empty; write the type of the message, as ORM^O01.",
        "MSH-9 để trống; hãy ghi loại thông điệp, ví dụ ORM^O01.",
        "MSH-9 est vide ; écrivez le type du message, comme ORM^O01.",
    ),
    Sentence(
        "message-type-not-taken",
        "This message type is not taken on this link.",
        "Kênh này không nhận loại thông điệp này (MSH-9.1).",
        "Ce type de message n'est pas accepté sur ce lien.",
    ),
    Sentence(
        "trigger-event-not-taken",
        "This trigger event is not taken on this link.",
        "Kênh này không nhận sự kiện này (MSH-9.2).",
        "Cet événement déclencheur n'est pas accepté sur ce lien.",
    ),
    Sentence(
        "processing-id-not-taken",
        "This processing ID is not taken on this link.",
        "Kênh này không nhận mã xử lý này (MSH-11).",
        "Cet identifiant de traitement (MSH-11) n'est pas accepté sur ce lien.",
    ),
    Sentence(
        "version-not-taken",
        "This HL7 version is not taken on this link.",
        "Kênh này không nhận phiên bản HL7 này (MSH-12).",
        "Cette version de HL7 (MSH-12) n'est pas acceptée sur ce lien.",
    ),
    Sentence(
        "sender-not-of-link",
        "This sender (MSH-3, MSH-4) is not one of this link.",
        "Bên gửi này (MSH-3, MSH-4) không thuộc kênh này.",
        "Cet émetteur (MSH-3, MSH-4) ne fait pas partie de ce lien.",
    ),
    Sentence(
        "no-control-id",
        "The message has no control ID, so no answer could name it.",
        "Thông điệp không có mã kiểm soát (MSH-10) nên không thể trả lời đích danh.",
        "Le message n'a pas d'identifiant de contrôle (MSH-10) : aucune réponse ne pourrait le nommer.",
    ),
    Sentence(
        "header-field-too-long",
        "MSH-{field} is longer than {characters} characters.",
        "MSH-{field} dài hơn {characters} ký tự.",
        "MSH-{field} dépasse {characters} caractères.",
    ),
    Sentence(
        "number-too-long",
        "A number in {place} is longer than {characters} characters: nothing could be found by it.",
        "Một mã trong {place} dài hơn {characters} ký tự nên không thể dùng để tra cứu.",
        "Un numéro dans {place} dépasse {characters} caractères : il ne permettrait de rien retrouver.",
    ),
    Sentence(
        "control-id-reused",
        "This control ID (MSH-10) was used for another message: send the message under a new one.",
        "Mã kiểm soát (MSH-10) này đã dùng cho thông điệp khác: hãy gửi thông điệp với mã mới.",
        "Cet identifiant de contrôle (MSH-10) a servi à un autre message : renvoyez le message sous un nouveau.",
    ),
    # Patient
    Sentence(
        "no-patient-identifier",
        "The patient identifier list (PID-3) holds no identifier.",
        "Danh sách mã người bệnh (PID-3) không có mã nào.",
        "La liste des identifiants du patient (PID-3) n'en contient aucun.",
    ),
    Sentence(
        "birth-date-invalid",
        "The date of birth (PID-7) is not a date.",
        "Ngày sinh (PID-7) không phải là ngày hợp lệ.",
        "La date de naissance (PID-7) n'est pas une date.",
    ),
    Sentence(
        "no-patient-of-order",
        "The message has no PID segment, so the order belongs to nobody.",
        "Thông điệp không có đoạn PID nên chỉ định không thuộc về ai.",
        "Le message n'a pas de segment PID : la demande n'appartient à personne.",
    ),
    Sentence(
        "no-patient-of-result",
        "The message has no PID segment, so the result belongs to nobody.",
        "Thông điệp không có đoạn PID nên kết quả không thuộc về ai.",
        "Le message n'a pas de segment PID : le résultat n'appartient à personne.",
    ),
    Sentence(
        "no-patient",
        "The message has no PID segment, so it is about nobody.",
        "Thông điệp không có đoạn PID nên không nói về ai.",
        "Le message n'a pas de segment PID : il ne concerne personne.",
    ),
    Sentence(
        "several-patients",
        "Only a merge (A40) may name more than one patient.",
        "Chỉ thông điệp gộp (A40) mới được nêu nhiều hơn một người bệnh.",
        "Seule une fusion (A40) peut nommer plus d'un patient.",
    ),
    Sentence(
        "merge-without-patient",
        "The merge has no PID segment, so nobody is merged.",
        "Thông điệp gộp không có đoạn PID nên không gộp ai.",
        "La fusion n'a pas de segment PID : personne n'est fusionné.",
    ),
    Sentence(
        "merge-out-of-order",
        "An MRG segment follows its PID, one each.",
        "Mỗi đoạn PID được theo sau bởi đúng một đoạn MRG.",
        "Un segment MRG suit son PID, un pour chacun.",
    ),
    Sentence(
        "merge-without-prior",
        "The merge does not say which number ends: an MRG segment follows each PID.",
        "Thông điệp gộp không nêu mã nào chấm dứt: sau mỗi đoạn PID phải có đoạn MRG.",
        "La fusion ne dit pas quel numéro prend fin : un segment MRG suit chaque PID.",
    ),
    Sentence(
        "no-prior-identifier",
        "The prior patient identifier list (MRG-1) holds no identifier.",
        "Danh sách mã cũ (MRG-1) không có mã nào.",
        "La liste des identifiants antérieurs (MRG-1) n'en contient aucun.",
    ),
    Sentence(
        "merge-into-self",
        "MRG-1 and PID-3 hold the same number: a patient is not merged into themselves.",
        "MRG-1 và PID-3 cùng một mã: không gộp người bệnh vào chính họ.",
        "MRG-1 et PID-3 portent le même numéro : un patient n'est pas fusionné avec lui-même.",
    ),
    Sentence(
        "no-surviving-identifier",
        "PID-3 holds no number of the authority and type of the one in MRG-1, so none takes its place.",
        "PID-3 không có mã cùng nơi cấp và loại với mã trong MRG-1 nên không mã nào thay thế.",
        "PID-3 n'a aucun numéro de l'autorité et du type de celui de MRG-1 : aucun ne le remplace.",
    ),
    # Orders and results
    Sentence(
        "not-a-time",
        "The value is not a date and time (DTM).",
        "Giá trị không phải là ngày giờ (DTM).",
        "La valeur n'est pas une date et heure (DTM).",
    ),
    Sentence(
        "no-order",
        "The message holds no order: it has no ORC segment.",
        "Thông điệp không có chỉ định nào: thiếu đoạn ORC.",
        "Le message ne contient aucune demande : il n'a pas de segment ORC.",
    ),
    Sentence(
        "no-order-control",
        "The order control code (ORC-1) is missing.",
        "Thiếu mã điều khiển chỉ định (ORC-1).",
        "Le code de contrôle de la demande (ORC-1) manque.",
    ),
    Sentence(
        "order-control-not-taken",
        "This order control code is not taken; taken are {codes}.",
        "Mã điều khiển chỉ định (ORC-1) này không được nhận; được nhận: {codes}.",
        "Ce code de contrôle (ORC-1) n'est pas accepté ; acceptés : {codes}.",
    ),
    Sentence(
        "no-order-detail",
        "The order has no OBR segment, so it asks for nothing that we know.",
        "Chỉ định không có đoạn OBR nên không rõ yêu cầu gì.",
        "La demande n'a pas de segment OBR : elle ne demande rien de connu.",
    ),
    Sentence(
        "no-service",
        "The universal service identifier (OBR-4) is missing.",
        "Thiếu mã dịch vụ (OBR-4).",
        "L'identifiant de l'acte (OBR-4) manque.",
    ),
    Sentence(
        "no-order-number",
        "The order has neither a placer order number (ORC-2) nor a filler order number (ORC-3).",
        "Chỉ định không có số của bên yêu cầu (ORC-2) lẫn số của bên thực hiện (ORC-3).",
        "La demande n'a ni numéro du demandeur (ORC-2) ni numéro de l'exécutant (ORC-3).",
    ),
    Sentence(
        "no-result",
        "The message holds no result: it has no OBR segment.",
        "Thông điệp không có kết quả nào: thiếu đoạn OBR.",
        "Le message ne contient aucun résultat : il n'a pas de segment OBR.",
    ),
    Sentence(
        "no-sch",
        "The message has no SCH segment, so it tells of no appointment.",
        "Thông điệp không có đoạn SCH nên không nói về lịch hẹn nào.",
        "Le message n'a pas de segment SCH : il ne parle d'aucun rendez-vous.",
    ),
    Sentence(
        "no-appointment-number",
        "The appointment has no number (SCH-1, SCH-2, SCH-26, SCH-27), so it names no order.",
        "Lịch hẹn không có số nào (SCH-1, SCH-2, SCH-26, SCH-27) nên không nêu chỉ định nào.",
        "Le rendez-vous n'a aucun numéro (SCH-1, SCH-2, SCH-26, SCH-27) : il ne nomme aucune demande.",
    ),
    # Answers of receivers
    Sentence(
        "answer-without-msa",
        "The answer has no MSA segment.",
        "Thư trả lời không có đoạn MSA.",
        "La réponse n'a pas de segment MSA.",
    ),
    Sentence(
        "answer-without-code",
        "MSA-1 holds no acknowledgment code of table HL70008.",
        "MSA-1 không chứa mã trả lời nào của bảng HL70008.",
        "MSA-1 ne contient aucun code d'accusé de la table HL70008.",
    ),
)
