#!/bin/bash
# docs/logs.md: each section's schema and commands, as they stand there, on made-up rows of that log.
set -eu
doc=$REPO/docs/logs.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
die() { echo "FAILED: $*"; exit 1; }

mkdir "$dir/bin"
ln -s "$ESMM" "$dir/bin/esmm"
PATH=$dir/bin:$PATH

# --- the document ------------------------------------------------------------------------------------
sections() { sed -n 's/^## //p' "$doc"; }
block() { # section, language: its first block of that language
    awk -v section="## $1" -v fence="\`\`\`$2" '
        /^## / { here = $0 == section }
        here && !on && $0 == fence { on = 1; next }
        on && $0 == "```" { exit }
        on { print }' "$doc"
}
value() { esmm inspect "$1" --json | grep -o "\"$2\":[^,}]*" | head -1 | cut -d: -f2; }
tried=
try() { # section, shards, then key=value of inspect
    local section=$1 shards=$2 schema
    shift 2
    block "$section" ini >schema
    if [ -s schema ]; then
        schema=$(sed -n '1s/^; //p' schema)
        [ -n "$schema" ] || die "$section: its schema does not begin with its name"
        cp schema "$schema"
    fi
    block "$section" sh >commands
    [ -s commands ] || die "$section: there are no commands in $doc"
    bash -eu commands >said 2>&1 || die "$section: $(cat said)"
    for pair; do
        [ "$(value "$shards" "${pair%%=*}")" = "${pair#*=}" ] ||
            die "$section: ${pair%%=*} is $(value "$shards" "${pair%%=*}"), expected ${pair#*=}: $(cat said)"
    done
    esmm inspect "$shards" --verify >verified || die "$section: $(cat verified)"
    tried="$tried$section
"
}
begin() { rm -rf "$dir/log" && mkdir "$dir/log" && cd "$dir/log"; }
# n cells with commas, # in `text` being 1 to n.
cells() { awk -v n="$1" -v text="$2" 'BEGIN { for (k = 1; k <= n; k++) { cell = text; sub(/#/, k, cell); printf "%s%s", cell, k < n ? "," : "" } }'; }

# --- the logs ----------------------------------------------------------------------------------------
begin
printf '1,0,0,k,1,205\00277\0031.0\n2,1,1,k,1,205\00278\0031.0\n3,0,1,k,1,205\00279\0031.0\n' >sample_skeleton_train.csv
printf 'k,2,101\0025\0031.0\001127_14\0026\0030.69315\n' >common_features_train.csv
try Ali-CCP aliccp impressions=2 clicks=1 conversions=1 orphans=1 rejected=0

begin
for label in 0 1 0; do
    printf '%d\t%s\t%s\n' $label "$(cells 13 '#' | tr , '\t' | sed 's/3/-2/')" \
        "$(cells 26 '68fd1e#' | tr , '\t')"
done >train.txt
printf '1%s\n' "$(printf '\t%.0s' $(seq 39))" >>train.txt # nothing but the label
try 'Criteo display' criteo-display impressions=4 clicks=2 no_conversion=true rejected=0

begin
{
    echo 'timestamp uid campaign conversion conversion_timestamp conversion_id attribution click click_pos' \
        'click_nb cost cpo time_since_last_click' cat{1..9}
    echo 0 20073966 22589171 0 -1 -1 0 0 -1 -1 0.00001 0.39 -1 {1..9}
    echo 2 28474333 18975823 1 1449193 3063962 0 1 0 7 0.0001 0.21 423858 {1..9}
    echo 2671198 28474333 18975823 0 -1 -1 0 1 -1 -1 0.0001 0.2 8823 {1..9}
} | tr ' ' '\t' >criteo_attribution_dataset.tsv
try 'Criteo attribution' criteo-attribution impressions=3 clicks=2 conversions=1 groups=2 rejected=0 \
    first_time=1577836800 last_time=1580507998

begin
search() { # sale, amount, delay
    printf '%s\t%s\t%s\t1598891820\t%s\t0.0\t\t7E56C27BFF0305E788DA55A029EC4988\t-1\t-1\t%s\t-1\tB' "$1" "$2" "$3" \
        5 9C68
    printf '\t-1%.0s' $(seq 4)
    printf '\t-1\t57A1D462A03BD076E029CF9310C11FC5\t5E2C8 F66A1 0B3\tE3DDE\tD01A\t%s\n' U1
}
search 0 -1 -1 | cut -f 1-23 >CriteoSearchData
search 1 25.5 259200 | cut -f 1-23 >>CriteoSearchData
search 1 25.5 -1 | cut -f 1-23 >>CriteoSearchData
search 1 25.5 0 | cut -f 1-23 >>CriteoSearchData
try 'Criteo sponsored search' criteo-search impressions=3 clicks=3 conversions=2 rejected=0 \
    first_time=1598891820

begin
printf '%s\t%s\t%s\t%s\n' 0 '' "$(echo 1 -1 '' {4..8} | tr ' ' '\t')" "$(echo c{1..9} | tr ' ' '\t')" \
    86400 90000 "$(echo {1..8} | tr ' ' '\t')" "$(echo c{1..9} | tr ' ' '\t')" |
    awk -F '\t' -v OFS='\t' 'NF < 19 { $10 = "" OFS $10 } { print }' >data.txt
try 'Criteo conversions 2014' criteo-2014 impressions=2 clicks=2 conversions=1 rejected=0 \
    first_time=1356998400 last_time=1357084800
[ -e criteo-2014-stream/end ] || die "no stream"

begin
echo 'id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21' >train.csv
echo '1000009418151094273,0,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,ddd2926e,44956a24,1,2,15706,320,50,1722,0,35,-1,79' >>train.csv
echo '10000169349117863715,1,14103023,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,96809ac8,711ee120,1,0,15704,320,50,1722,0,35,100084,79' >>train.csv
try Avazu avazu impressions=2 clicks=1 no_conversion=true rejected=0 first_time=1413849600 \
    last_time=1414710000

begin
for page in b a; do echo "$page,$(cells 32 '0.#')"; done >NL_user_train.csv
for row in a,0 a,1 b,2 a,2; do echo "${row%,*},$(cells 47 '0.#'),${row#*,}"; done >NL_item_train.csv
try 'AliExpress, original' aliexpress impressions=4 clicks=3 conversions=2 groups=2 rejected=0

begin
{
    echo "search_id,$(cells 16 'categorical_#'),$(cells 63 'numerical_#'),click,conversion"
    for labels in 0,0 1,0 1,1; do
        echo "7,$(cells 16 '#'),$(cells 63 0.08800000000000001),$labels"
    done
} >train.csv
try 'AliExpress, repacked' aliexpress-repacked impressions=3 clicks=2 conversions=1 groups=1 rejected=0

begin
{
    echo user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab
    echo 0,3784,20220422,2300,1650555660125,1,0,0,0,0,0,0,6067,9066,0,0,0,0,1
    echo 0,8912,20220422,0,1650643200000,1,1,0,0,0,0,1,-5,0,0,0,0,0,1
    echo 27,3784,20220422,100,1650648000999,0,0,0,0,0,0,0,0,17200.0,0,0,0,1,0
} >log_standard.csv
try KuaiRand kuairand impressions=3 clicks=2 conversions=1 groups=2 rejected=0 first_time=1650555660 \
    last_time=1650648000
esmm records --data kuairand --out stream --stream es-dfm >said || die "$(cat said)"
[ "$(value stream last_time)" -ge 1650648000 ] || die "the stream's times: $(value stream last_time)"

begin
{
    echo user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio
    echo 0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.2733965215790925
    echo 0,9598,13665,10984,2020-07-05 00:13:41.297,20200705,1593879221.297,0.74
    echo 1,5262,851,7908,2020-07-05 00:16:06.687,20200705,1593879366.687,0.1076
} >big_matrix.csv
try KuaiRec kuairec impressions=3 clicks=2 conversions=1 rejected=0 first_time=1593878903

begin
{
    echo "user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age,$(cells 10 'hist_#')"
    echo "1,110,1,0,1,0,1,2,1,3,$(cells 10 0)"
    echo "1,128,0,0,0,0,\\N,0,1,3,$(cells 10 '#')"
    echo "2,110,1.0,0,0.0,0,0,1,\\N,\\N,$(cells 10 '#')"
} >ctr_data_1M.csv
try Tenrec tenrec impressions=3 clicks=2 conversions=1 groups=2 rejected=0

begin
printf '%s\n' user,time_stamp,adgroup_id,pid,nonclk,clk 581738,1494137644,1,430548_1007,1,0 \
    449818,1494638778,3,430548_1007,0,1 914836,1494650879,9,430548_1007,1,0 >raw_sample.csv
printf '%s\n' adgroup_id,cate_id,campaign_id,customer,brand,price 1,9025,108570,1,NULL,170.0 \
    3,6261,83237,1,95471,19.9 >ad_feature.csv
printf '%s\r\n' 'userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,new_user_class_level ' \
    581738,0,5,2,5,,3,0,3 449818,19,3,2,3,,3,0, >user_profile.csv
try 'Taobao display ads' taobao impressions=3 clicks=1 no_conversion=true rejected=0 \
    first_time=1494137644 last_time=1494650879
grep -q '^new_user_class_level *user *1$' said || die "Taobao: $(cat said)"
grep -q '^brand *item *1$' said || die "Taobao: $(cat said)"

begin
{
    echo instance_id item_id item_category_list item_property_list item_brand_id item_city_id item_price_level item_sales_level item_collected_level item_pv_level user_id user_gender_id user_age_level user_occupation_id user_star_level context_id context_timestamp context_page_id predict_category_property shop_id shop_review_num_level shop_review_positive_rate shop_star_level shop_score_service shop_score_delivery shop_score_description is_trade
    echo '108641074714126964 3412720377098676069 7908382889764677758;5799347067982556520 2072967855524022579;5131280576272319091;-1 1975590437749032870 3948283326616421003 3 3 4 14 4505772604969228686 1 1003 2005 3006 282924576738839389 1537236544 4006 7908382889764677758:2072967855524022579;-1:-1 6765930309048922341 4 1.0 5002 1.0 1.0 1.0 0'
    echo '5754713551599725161 3412720377098676069 7908382889764677758 2072967855524022579 -1 -1 3 3 4 14 2692638157208937547 -1 -1 -1 -1 4007 1537316120 4006 -1 6765930309048922341 4 1.0 5002 1.0 1.0 1.0 1'
} >round1_ijcai_18_train.txt
try IJCAI-18 ijcai18 impressions=2 clicks=2 conversions=1 rejected=0 first_time=1537236544

begin
printf '%s\n' label,clickTime,conversionTime,creativeID,userID,positionID,connectionType,telecomsOperator \
    0,170000,,3089,2798058,293,1,1 1,170002,171830,1259,463234,6161,1,2 0,310059,,9,9,7,1,1 >train.csv
printf '%s\n' userID,age,gender,education,marriageStatus,haveBaby,hometown,residence \
    2798058,26,1,2,3,2,0,401 463234,42,1,3,1,1,0,0 >user.csv
printf '%s\n' creativeID,adID,camgaignID,advertiserID,appID,appPlatform 3089,1321,83,10,434,1 \
    1259,3593,632,3,465,1 >ad.csv
try 'Tencent 2017' tencent impressions=3 clicks=3 conversions=1 rejected=0 first_time=1484611200 \
    last_time=1485824340

begin
{
    echo "$(printf 'f%d,' {0..11})treatment,conversion,visit,exposure"
    for labels in 1,0,0,0 1,1,1,1 0,0,1,0; do echo "$(cells 12 '#.632541'),$labels"; done
} >criteo-uplift-v2.1.csv
try 'Criteo uplift' criteo-uplift impressions=3 clicks=2 conversions=1 rejected=0

# --- what the sections say besides ---------------------------------------------------------------------
# A log of one label: what can be trained on it, and what is judged.
begin
awk 'BEGIN { srand(1); print "id,click,item"; for (i = 0; i < 2000; i++) print i "," (rand() < 0.3) ",000" i % 50 ".0" }' >log
printf '[log]
impression = id
click = click
conversion = none
item = item
[column.item]
kind = id
' >schema
esmm prep --format csv --schema schema --input log --out shards >said
grep -q '^conversions  no label of them in the log$' said || die "one label: $(cat said)"
grep -q '^item *item *2000; of the ids 2000 had blanks, zeros' said || die "ids: $(cat said)"
code=0
esmm train --data shards --out run >said 2>&1 || code=$?
[ $code != 0 ] && grep -q 'model.name=ctr' said || die "training esmm on one label: $code, $(cat said)"
esmm train --data shards --eval shards --out run-ctr --set model.name=ctr >said 2>&1 || die "ctr: $(cat said)"
grep -q '^evaluation: .* cvr (clicked) undefined   ctcvr (all) undefined$' said || die "figures of one label: $(cat said)"
esmm eval --checkpoint run-ctr --data shards --bootstrap 0 >said || die "eval: $(cat said)"
grep -q '^auc ctr .* 0\.[0-9]' said && grep -q '^auc cvr .*undefined$' said || die "eval: $(cat said)"

# Clocks that were put forward and back.
begin
printf 'click,item,time
0,a,2014-03-30 02:30:00
0,a,2014-10-26 02:30:00
1,b,2014-10-26 12:00:00
' >log
printf '[log]
click = click
conversion = none
item = item
time = time
time_format = iso
' >schema
printf 'timezone = Europe/Berlin
' >>schema
if [ -e /usr/share/zoneinfo/Europe/Berlin ]; then
    esmm prep --format csv --schema schema --input log --out shards >said || die "a zone: $(cat said)"
    grep -q '^times .*2014-03-30 01:30:00 to 2014-10-26 11:00:00 UTC (1396143000 to 1414321200)' said &&
        grep -q ' 1  rows with a time that the zone skips (taken by the clock before), 1 with one' said ||
        die "a zone: $(cat said)"
fi

[ "$tried" = "$(sections)
" ] || die "tried were: $tried the sections are: $(sections)"
