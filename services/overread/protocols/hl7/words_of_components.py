"""What components are called in Vietnamese and French: `English | Vietnamese | French`, a line each."""

TABLE = """
Address type | loại địa chỉ | type d'adresse
Alternate identifier | mã thay thế | autre identifiant
Alternate text | tên thay thế | autre texte
Application ID | mã ứng dụng | identifiant d'application
Area city code | mã vùng | indicatif régional
Assigning agency or department | cơ quan cấp | organisme d'attribution
Assigning authority | nơi cấp | autorité d'attribution
Assigning facility | cơ sở cấp | établissement d'attribution
Assigning facility ID | cơ sở cấp | établissement d'attribution
Assigning jurisdiction | khu vực cấp | juridiction d'attribution
Bed | giường | lit
Body site | vị trí cơ thể | site anatomique
Building | toà nhà | bâtiment
Check digit | số kiểm tra | chiffre de contrôle
Check digit nm | số kiểm tra | chiffre de contrôle
Check digit scheme | cách tính số kiểm tra | méthode du chiffre de contrôle
City | thành phố, xã | ville
Code identifying error | mã lỗi | code de l'erreur
Code identifying the check digit scheme employed | cách tính số kiểm tra | méthode du chiffre de contrôle
Coding system version ID | phiên bản hệ mã | version du système de codage
Component number | số thành phần | numéro de composant
Condition | điều kiện | condition
Conjunction component | liên kết | conjonction
Country | quốc gia | pays
County parish code | mã quận, huyện | code du comté
Degree | học vị | titre
Degree e g md | học vị | titre
Degree of precision | độ chính xác | degré de précision
Duration | thời lượng | durée
Effective date | ngày hiệu lực | date d'effet
Effective date dt | ngày hiệu lực | date d'effet
Email address | thư điện tử | courriel
End date time | thời điểm kết thúc | fin
Entity identifier | số | numéro
Event | sự kiện | événement
Expiration date | ngày hết hạn | date d'expiration
Facility | cơ sở | établissement
Family name | họ | nom de famille
Field position | số trường | numéro de champ
Field repetition | lần lặp | répétition
Floor | tầng | étage
Given name | tên | prénom
Group | nhóm | groupe
ID | mã | identifiant
ID number | số | numéro
ID number nm | số | numéro
Identifier | mã | identifiant
Identifier check digit | số kiểm tra | chiffre de contrôle
Identifier type code | loại mã | type d'identifiant
Identifier type code ID | loại mã | type d'identifiant
Identifier type code is | loại mã | type d'identifiant
Internationalization code | mã quốc gia | code de pays
Interval | khoảng lặp | intervalle
Location description | mô tả vị trí | description du lieu
Location status | trạng thái vị trí | état du lieu
Message code | mã thông điệp | code du message
Message structure | cấu trúc thông điệp | structure du message
Message type | loại thông điệp | type de message
Middle initial or name | tên đệm | deuxième prénom
Name | tên | nom
Name of alternate coding system | hệ mã thay thế | autre système de codage
Name of coding system | hệ mã | système de codage
Name representation code | cách ghi tên | représentation du nom
Name type | loại tên | type de nom
Name type code | loại tên | type de nom
Namespace ID | tên miền | espace de noms
Organization name | tên tổ chức | nom de l'organisme
Original text | văn bản gốc | texte original
Other designation | chi tiết địa chỉ | complément d'adresse
Pointer | liên kết | renvoi
Person identifier | mã người | identifiant de la personne
Person location type | loại vị trí | type de lieu
Phone number | số điện thoại | numéro de téléphone
Point of care | khoa | unité de soins
Point of care ID | khoa | unité de soins
Point of care is | khoa | unité de soins
Prefix e g dr | danh xưng | civilité
Priority | mức ưu tiên | priorité
Processing ID | mã xử lý | identifiant de traitement
Processing mode | chế độ xử lý | mode de traitement
Professional suffix | chức danh sau tên | suffixe professionnel
Quantity | số lượng | quantité
Repeat pattern | kiểu lặp lại | rythme
Room | phòng | chambre
Second and further given names or initials thereof | tên đệm | autres prénoms
Segment ID | tên đoạn | nom du segment
Segment sequence | thứ tự đoạn | rang du segment
Source table | bảng nguồn | table d'origine
Start date time | thời điểm bắt đầu | début
State or province | tỉnh, thành phố | région
Street address | số nhà, đường | rue
Street address sad | số nhà, đường | rue
Sub component number | số thành phần con | numéro de sous-composant
Suffix e g jr or iii | hậu tố tên | suffixe
Telecommunication equipment type | loại thiết bị | type d'équipement
Telecommunication use code | mục đích liên lạc | usage
Telephone number | số điện thoại | numéro de téléphone
Text | tên | texte
Text instruction | hướng dẫn | consigne
Text tx | văn bản | texte
Time | thời điểm | heure
Time of an event | thời điểm | heure de l'événement
Trigger event | sự kiện | événement déclencheur
Type of data | loại dữ liệu | type de données
Subtype | loại con | sous-type
Universal ID | mã toàn cầu | identifiant universel
Universal ID type | loại mã toàn cầu | type d'identifiant universel
Version ID | phiên bản | version
International version ID | phiên bản quốc tế | version internationale
Zip or postal code | mã bưu chính | code postal
Patient location type | loại vị trí | type de lieu
Placer assigned identifier | số của bên yêu cầu | numéro du demandeur
Filler assigned identifier | số của bên thực hiện | numéro de l'exécutant
Parent's placer order number | số chỉ định cha của bên yêu cầu | numéro parent du demandeur
Parent's filler order number | số chỉ định cha của bên thực hiện | numéro parent de l'exécutant
Family last name | họ | nom de famille
Address usage | mục đích địa chỉ | usage de l'adresse
Any text | văn bản | texte
Calendar alignment | theo lịch | alignement sur le calendrier
Called by | tên gọi | appelé
Charge code | mã chi phí | code de facturation
Comment | ghi chú | commentaire
Communication address | địa chỉ liên lạc | adresse de contact
Comprehensive location identifier | mã vị trí đầy đủ | identifiant complet du lieu
Conjunction | liên kết | conjonction
Country code | mã quốc gia | indicatif du pays
Driver's license number | số giấy phép lái xe | numéro de permis de conduire
Effective date ts | ngày hiệu lực | date d'effet
Effective start date | ngày bắt đầu hiệu lực | date de début
Extension | số máy lẻ | poste
Financial class | đối tượng thanh toán | classe financière
Financial class code | đối tượng thanh toán | classe financière
Issuing state province country | nơi cấp | lieu de délivrance
License number | số giấy phép | numéro de permis
Local number | số thuê bao | numéro local
Location type | loại vị trí | type de lieu
Name assembly order | thứ tự họ tên | ordre du nom
Name context | ngữ cảnh của tên | contexte du nom
Name validity range | thời hạn của tên | validité du nom
Address validity range | thời hạn của địa chỉ | validité de l'adresse
Occurrence duration | thời lượng mỗi lần | durée de l'occurrence
Organization identifier | mã tổ chức | identifiant de l'organisme
Organization name type code | loại tên tổ chức | type de nom de l'organisme
Original sub identifier | mã phụ gốc | sous-identifiant d'origine
Other geographic designation | địa danh khác | autre désignation géographique
Parent observation identifier | mã kết quả cha | observation parente
Parent observation sub identifier | mã phụ kết quả cha | sous-identifiant parent
Parent observation value descriptor | giá trị kết quả cha | valeur parente
Repeat pattern code | kiểu lặp lại | rythme
Sequence | thứ tự | séquence
Total occurences | tổng số lần | nombre d'occurrences
Total occurrences | tổng số lần | nombre d'occurrences
Unformatted telephone number | số điện thoại | numéro de téléphone
999 999 9999 x99999 c any text | số điện thoại | numéro de téléphone
Units | đơn vị | unités
Name of second alternate coding system | hệ mã thứ ba | troisième système de codage
Second alternate identifier | mã thứ ba | troisième identifiant
Second alternate text | tên thứ ba | troisième texte
Security check | kiểm tra an ninh | contrôle de sécurité
Specimen source name or code | nguồn mẫu | origine de l'échantillon
Census tract | khu vực điều tra | secteur de recensement
"""
