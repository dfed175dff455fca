"""Why a row or a file could not be used, in the language of those who wrote it; no sentence holds a value of a row."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["vi", "en", "fr"]

HEADINGS: Mapping[Language, tuple[str, str, str]] = {
    "vi": ("dòng", "cột", "lý do"),
    "en": ("line", "column", "reason"),
    "fr": ("ligne", "colonne", "raison"),
}

SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "not_in_charset": (
        "Tệp không phải bảng mã {charset} như đã khai báo cho kênh; hãy xuất lại bằng UTF-8.",
        "The file is not in {charset}, as the link says that it is; export it in UTF-8.",
        "Le fichier n'est pas en {charset}, comme la liaison le dit ; exportez-le en UTF-8.",
    ),
    "row_not_in_charset": (
        "Dòng có ký tự không đọc được theo bảng mã của kênh; hãy xuất lại bằng bảng mã đó hoặc UTF-8.",
        "The row has characters that are not in the link's character set; export it in that one, or in UTF-8.",
        "La ligne a des caractères hors du jeu de la liaison ; exportez-la dans ce jeu ou en UTF-8.",
    ),
    "header_unreadable": (
        "Dòng tiêu đề không đọc được: kiểm tra dấu phân cách và dấu ngoặc kép.",
        "The header can't be read: check separator and quotes.",
        "L'en-tête est illisible : vérifiez séparateur et guillemets.",
    ),
    "column_missing": (
        "Thiếu cột “{column}” trong dòng tiêu đề; kiểm tra tên cột và dấu phân cách.",
        "The header has no column “{column}”; check its name and the separator.",
        "L'en-tête n'a pas de colonne « {column} » ; vérifiez son nom et le séparateur.",
    ),
    "column_twice": (
        "Cột “{column}” có hai lần trong dòng tiêu đề.",
        "The header has column “{column}” twice.",
        "L'en-tête a deux fois la colonne « {column} ».",
    ),
    "row_width": (
        "Dòng có {found} ô, tiêu đề có {wanted}: giá trị có thể đã lệch cột; đặt trong ngoặc kép giá trị chứa dấu phân cách.",
        "The row has {found} cells and the header {wanted}: values may have moved; quote those that hold a separator.",
        "La ligne a {found} cellules, l'en-tête {wanted} : des valeurs ont pu glisser ; un séparateur se met entre guillemets.",
    ),
    "row_unreadable": (
        "Không tách được dòng thành các ô: có lẽ thiếu dấu ngoặc kép đóng; các dòng sau đó có thể cũng chưa được nhận.",
        "The row can't be cut into cells: perhaps a quote is not closed; rows after it may not have been taken either.",
        "La ligne ne se découpe pas : un guillemet n'est peut-être pas fermé ; les suivantes peuvent manquer aussi.",
    ),
    "value_long": ("Giá trị quá dài.", "The value is too long.", "La valeur est trop longue."),
    "value_of_two_lines": (
        "Giá trị chứa dấu xuống dòng: có lẽ thiếu dấu ngoặc kép đóng.",
        "The value holds a line end: perhaps a quote is not closed.",
        "La valeur contient une fin de ligne : un guillemet n'est peut-être pas fermé.",
    ),
    "value_of_control": (
        "Giá trị chứa ký tự điều khiển, không hiển thị được; hãy xuất lại tệp không có ký tự đó.",
        "The value holds a control character, which can't be shown; export it without.",
        "La valeur contient un caractère de contrôle, qui ne s'affiche pas ; exportez-la sans lui.",
    ),
    "value_not_allowed": (
        "Giá trị không hợp lệ cho trường này (quá dài, hoặc không phải UID).",
        "The value is not one that this field can have (too long, or no UID).",
        "Cette valeur n'est pas admise ici (trop longue, ou pas un UID).",
    ),
    "no_modality": (
        "Không phải mã loại máy: từ hai đến mười sáu chữ in hoa, như CT, MR, DX.",
        "It is no modality: two to sixteen capitals, as CT, MR, DX.",
        "Ce n'est pas une modalité : deux à seize majuscules, comme CT, MR, DX.",
    ),
    "place_twice": (
        "Đường dẫn gặp nhiều phần tử: không biết lấy giá trị nào.",
        "The path meets several elements: nobody can tell which is meant.",
        "Le chemin rencontre plusieurs éléments : on ne sait lequel prendre.",
    ),
    "not_well_formed": (
        "XML không đúng cú pháp tại dòng này; không dòng nào của tệp được nhận.",
        "The XML is not well-formed here; nothing of the file was taken.",
        "Le XML est mal formé ici ; rien du fichier n'a été pris.",
    ),
    "document_type": (
        "Tệp XML khai báo DOCTYPE: không được nhận vì lý do an toàn; hãy xuất không có DOCTYPE.",
        "The XML declares a document type, which is not taken for safety's sake; export it without.",
        "Le XML déclare un DOCTYPE, refusé par sûreté ; exportez-le sans.",
    ),
    "too_deep": (
        "XML lồng quá sâu hoặc một phiếu có quá nhiều phần tử.",
        "The XML is nested too deeply, or one order has too many elements.",
        "Le XML est trop imbriqué, ou une demande a trop d'éléments.",
    ),
    "too_large": (
        "Tệp lớn hơn mức kênh cho phép ({limit} byte); hãy chia nhỏ.",
        "The file is larger than the link takes ({limit} bytes); divide it.",
        "Le fichier dépasse ce que la liaison prend ({limit} octets) ; divisez-le.",
    ),
    "too_many_rows": (
        "Tệp có nhiều dòng hơn mức kênh cho phép ({limit}); hãy chia nhỏ.",
        "The file has more rows than the link takes ({limit}); divide it.",
        "Le fichier a plus de lignes que la liaison n'en prend ({limit}) ; divisez-le.",
    ),
    "no_rows": (
        "Tệp không có phiếu nào: kiểm tra đường dẫn phần tử và dấu phân cách.",
        "The file holds no order: check the path of the row's element, or the separator.",
        "Le fichier ne contient aucune demande : vérifiez le chemin de l'élément ou le séparateur.",
    ),
    "no_date": (
        "Không phải ngày giờ theo mẫu của kênh ({formats}).",
        "It is no date in a format of the link ({formats}).",
        "Ce n'est pas une date dans un format de la liaison ({formats}).",
    ),
    "code_unknown": (
        "Mã chưa được khai báo cho kênh: thêm vào codes trong tệp cấu hình.",
        "The link does not say what this code means: add it to codes in its file.",
        "La liaison ne dit pas ce que ce code signifie : ajoutez-le à codes dans son fichier.",
    ),
    "no_order_number": (
        "Phiếu không có số: không ai gọi lại được nó.",
        "The order has no number, so nobody could name it again.",
        "La demande n'a pas de numéro : nul ne pourrait la nommer.",
    ),
    "no_patient_number": (
        "Thiếu mã người bệnh.",
        "The patient's number is missing.",
        "Le numéro du patient manque.",
    ),
    "no_service": (
        "Phiếu không nói chỉ định gì: cần mã hoặc tên dịch vụ.",
        "The order does not say what is asked for: a code or a text is needed.",
        "La demande ne dit pas ce qui est demandé : il faut un code ou un texte.",
    ),
    "replaces_itself": (
        "Phiếu không thể thay thế chính nó.",
        "An order can't replace itself.",
        "Une demande ne peut se remplacer elle-même.",
    ),
}
"""By key: Vietnamese, English, French."""

_PLACES: Mapping[Language, int] = {"vi": 0, "en": 1, "fr": 2}


def said(sentence: str, language: Language, values: Mapping[str, object]) -> str:
    """Return a sentence in `language` with `values` in its places."""
    return SENTENCES[sentence][_PLACES[language]].format(**values)
