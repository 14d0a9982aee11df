"""What the site says, in Chinese and in English; one word missing in a language is a KeyError when pages are made."""

from __future__ import annotations

import re

LANGUAGES = ("zh", "en")


def words(language: str) -> dict[str, str]:
    """Return every word of the site in one language."""
    return {key: said[LANGUAGES.index(language)] for key, said in _WORDS.items()}


def breaking_zh(reason: str) -> str:
    """Return in Chinese why a version breaks its readers, as its manifest says it; what is not known stays as it is."""
    for pattern, said in _BREAKING.items():
        if told := re.fullmatch(pattern, reason):
            named = {key: _FACTS_ZH.get(value, value) for key, value in told.groupdict().items()}
            return said.format(**named)
    return reason


_BREAKING = {
    r"the column (?P<name>\w+) is gone": "字段 {name} 已删除",
    r"the column (?P<name>\w+) has another (?P<fact>[\w ]+)": "字段 {name} 的{fact}有变更",
    r"the (?P<fact>\w+) is another": "{fact}有变更",
    r"version (?P<name>[0-9.]+) was withdrawn damaged": "版本 {name} 已损坏并撤回，无法判断有何变更",
}
_FACTS_ZH = {
    "type": "类型", "stored type": "存储类型", "derivation": "处理方式", "code list": "代码表", "key": "主键",
    "licence": "许可协议",
    "arrow": "存储类型", "terms": "处理方式", "codes": "代码表",  # as older manifests say it
}

_WORDS: dict[str, tuple[str, str]] = {
    "site": ("公共数据开放", "Open public data"),
    "lead": (
        "政府部门公开的数据：查看、绘图、提问、下载、核验。无需登录，无需申请。",
        "Data that government departments publish: look, plot, ask, download, verify. No account, no application.",
    ),
    "skip": ("跳到正文", "Skip to content"),
    "home": ("数据目录", "Catalogue"),
    "ask": ("在线查询", "Ask"),
    "scores": ("部门记分卡", "Score card"),
    "theme_switch": ("深色/浅色", "Dark or light"),
    "other_language": ("English", "中文"),
    "search": ("搜索", "Search"),
    "search_hint": ("标题、字段、说明，例如：人口 年龄", "Titles, fields, summaries: population age"),
    "domain": ("开放领域", "Domain"),
    "department": ("部门", "Department"),
    "departments": ("部门", "Departments"),
    "domains": ("开放领域", "Domains"),
    "grade": ("数据分级", "Grade"),
    "format": ("格式", "Format"),
    "cycle": ("更新周期", "Updated"),
    "all": ("全部", "All"),
    "sort": ("排序", "Sort by"),
    "sort_fresh": ("最近更新", "Newest first"),
    "sort_title": ("标题", "Title"),
    "sort_rows": ("行数", "Most rows"),
    "reset": ("清除条件", "Clear"),
    "datasets": ("数据集", "Datasets"),
    "none_found": ("没有符合条件的数据集。", "No dataset matches."),
    "nothing_yet": ("尚未发布任何数据。", "Nothing has been released yet."),
    "rows": ("行", "rows"),
    "columns_count": ("列", "columns"),
    "data_of": ("数据截至", "Data as of"),
    "released": ("发布于", "Released"),
    "withdrawn": ("已撤回", "Withdrawn"),
    "withdrawn_latest": (
        "此数据集的全部版本均已撤回，数据不再提供。",
        "All versions of this dataset were withdrawn; its data is no longer provided.",
    ),
    "withdrawn_this": ("本版本已由发布方签名撤回。", "This version was withdrawn by a statement the publisher signed."),
    "withdrawn_what": (
        "数据和含有其行的变更文件不再提供；清单、签名和撤回声明保留，以便核验。已下载者请停止使用并删除。",
        "Its data and the changes that hold its rows are no longer provided; manifest, signature and statement stay "
        "to be checked. Whoever downloaded it should stop using it and delete it.",
    ),
    "damaged": (
        "下列版本暂时无法读取，其文件正待恢复", "These versions cannot be read now; their files wait to be put back",
    ),
    "withdrawn_damaged": (
        "撤回时其文件已经损坏，仅存者予以保留。已下载者请停止使用并删除。",
        "Its files were damaged by then; what was left of those that say what it was stays. Whoever downloaded it "
        "should stop using it and delete it.",
    ),
    "statement": ("撤回声明", "Statement of withdrawal"),
    "withdrawn_versions": ("涉及版本", "Versions"),
    "withdrawn_files": ("移除的文件数", "Files removed"),
    "version_lead": (
        "本页是一个已发布且不再改变的版本；更新的版本见数据集页面。",
        "This is one released version, which never changes; the dataset's page has the newest.",
    ),
    "previous": ("上一版本", "Version before"),
    "newest_version": ("前往数据集页面", "Go to the dataset's page"),
    "withdrawn_changes": (
        "本版本中来自已撤回版本的变更文件已移除。",
        "Changes from a withdrawn version were removed from this one.",
    ),
    "when": ("时间", "When"),
    "why": ("原因", "Why"),
    "about": ("概况", "About"),
    "download": ("下载", "Download"),
    "size": ("大小", "Size"),
    "digest": ("SHA-256", "SHA-256"),
    "file": ("文件", "File"),
    "all_files": ("全部文件", "All files"),
    "fields": ("字段", "Fields"),
    "field": ("字段", "Field"),
    "meaning": ("含义", "Meaning"),
    "type": ("类型", "Type"),
    "how_made": ("处理方式", "How it came about"),
    "code_list": ("代码表", "Code list"),
    "code": ("代码", "Code"),
    "label": ("名称", "Label"),
    "first_rows": ("前几行", "First rows"),
    "profile": ("字段概览", "Column profiles"),
    "filled": ("有值", "Filled"),
    "distinct": ("不同值", "Distinct"),
    "spread": ("分布", "Spread"),
    "typical": ("最小 · 中位 · 最大，或最常见的值", "Least · median · largest, or most frequent"),
    "plots": ("图表", "Plots"),
    "plot_time": ("按时间", "By time"),
    "plot_division": ("按行政区划", "By division"),
    "plot_category": ("按类别", "By category"),
    "as_table": ("以表格查看", "As a table"),
    "amount": ("数量", "Amount"),
    "value": ("取值", "Value"),
    "versions": ("版本与变更", "Versions and changes"),
    "version": ("版本", "Version"),
    "changes": ("变更", "Changes"),
    "full_snapshot": ("完整快照", "full snapshot"),
    "breaking": ("不兼容变更", "Breaking"),
    "added": ("新增", "added"),
    "removed": ("删除", "removed"),
    "changed": ("修改", "changed"),
    "since": ("自 {} 以来", "since {}"),
    "why_source": ("来自新数据", "from new data"),
    "why_pipeline": ("来自代码或条款变更", "from changed code or terms"),
    "why_unattributed": ("未归因", "not attributed"),
    "quality": ("质量", "Quality"),
    "quality_lead": (
        "以下为本数据所依据的部门交付的核算；每次交付均通过质量检查。",
        "What the departments delivered for this data. Every delivery passed its quality checks.",
    ),
    "deliveries": ("交付次数", "Deliveries"),
    "delivered": ("交付行数", "Delivered"),
    "accepted": ("接收", "Accepted"),
    "rejected": ("拒收", "Rejected"),
    "repeated": ("重复", "Repeated"),
    "risk": ("隐私风险", "Privacy risk"),
    "attack_known": ("攻击者已知", "Known to the attacker"),
    "attack_nothing": ("无", "nothing"),
    "attack_none": (
        "未做关联攻击：数据不涉及个人，或发布时尚无人口基础信息库。",
        "No attack was tried: this data is about no person, or there was no register of people yet.",
    ),
    "licence": ("许可协议", "Licence"),
    "contact": ("联系方式", "Contact"),
    "publisher": ("数据提供方", "Publisher"),
    "sources": ("来源", "Made from"),
    "correct": ("纠错", "Report an error"),
    "correct_lead": (
        "发现错误？写邮件，或填写后保存为文件再发送。请勿填写个人信息。",
        "Found something wrong? Write a mail, or fill this in and save it as a file to send. No personal data, please.",
    ),
    "correct_where": ("位置（字段、行）", "Where (field, row)"),
    "correct_what": ("问题与正确内容", "What is wrong, what is right"),
    "correct_mail": ("写邮件", "Write a mail"),
    "correct_save": ("保存为文件", "Save as a file"),
    "cite": ("如何引用", "How to cite"),
    "code_examples": ("代码示例", "In code"),
    "verify": ("如何核验", "How to verify"),
    "verify_lead": (
        "下载本版本的整个文件夹，运行其中的 verify.py；发布方公钥指纹见 key.json。",
        "Download this version's whole folder and run its verify.py; the publisher's fingerprint is in key.json.",
    ),
    "verify_kept": (
        "以下文件由发布方签名并保留；撤回本身也可核验。",
        "These files are signed by the publisher and stay; the withdrawal itself can be checked too.",
    ),
    "ask_this": ("用 SQL 查询此数据集", "Ask this dataset in SQL"),
    "ask_lead": (
        "SQL 在您的浏览器中运行（DuckDB），数据与问题都不会离开本机；首次使用需下载查询引擎。",
        "SQL runs in your browser (DuckDB); neither data nor question leaves it. The first question loads the engine.",
    ),
    "ask_no_script": (
        "在线查询需要 JavaScript；数据集页面和下载不需要。",
        "Asking needs JavaScript; dataset pages and downloads do not.",
    ),
    "ask_tables": ("可查询的表", "Tables"),
    "ask_examples": ("示例", "Examples"),
    "ask_sql": ("SQL 语句", "SQL"),
    "ask_run": ("运行（Ctrl+Enter）", "Run (Ctrl+Enter)"),
    "ask_result": ("结果", "Result"),
    "ask_csv": ("下载结果 CSV", "Download result as CSV"),
    "ask_share": ("复制链接", "Copy link"),
    "ask_loading": (
        "正在载入数据与查询引擎（引擎约 32 MB，仅一次）…", "Loading data and engine (the engine about 32 MB, once)…",
    ),
    "ask_running": ("正在计算…", "Working…"),
    "ask_done": ("行，用时", "rows in"),
    "ask_shown": ("显示前", "showing the first"),
    "ask_copied": ("链接已复制", "Link copied"),
    "ask_failed": ("查询未成功：", "The query failed: "),
    "example_count": ("共有多少行", "How many rows"),
    "example_first": ("前 20 行", "First 20 rows"),
    "example_group": ("分组统计", "Group and count"),
    "scores_lead": (
        "根据运行和发布记录自动计算，按部门、按月。没有手工填写的数字。",
        "Computed from the records of runs and releases, by department and month. No figure is typed by hand.",
    ),
    "scores_as_of": ("截至最近一次运行", "As of the last run"),
    "scores_none": ("尚无运行记录。", "There are no run records yet."),
    "timeliness": ("及时性", "Timeliness"),
    "completeness": ("归集率", "Collected, share"),
    "openness": ("开放率", "Openness"),
    "linkage": ("关联率", "Linkage"),
    "repaired": ("退回修复率", "Rows repaired"),
    "repair_days": ("修复天数", "Days to repair"),
    "all_departments": ("全部部门", "All departments"),
    "opened": ("已开放", "Opened"),
    "collected": ("已归集", "Collected"),
    "scores_how": (
        "及时性：在更新周期内送达的交付占比（不定期的不计）；归集率：已有交付的数据集占应交付数据集之比；"
        "开放率：应交付数据集中有在架版本者之比；质量：接收行数占非重复交付行数之比；"
        "退回修复率：退回的行中修复后、或由之后的交付带来而被接收者之比（累计）；修复天数：其中半数在退回后多少天内修复；"
        "关联率：该部门记录所涉的人或单位中，其他部门也有记录者之比（每晚统计，取整到百分之一，不足二十个的不计）；"
        "已开放：有在架版本的数据集数，含由多部门数据加工的产品。各月的归集率和开放率按月末计，以目前应交付的数据集为分母。",
        "Timeliness: share of deliveries that came within one update cycle of their data date (irregular ones do not "
        "count). Collected, share: datasets delivered, of those agreed. Openness: datasets with a version on offer, of "
        "those agreed. Quality: rows accepted, of rows delivered that are not repetitions. Rows repaired: of the rows "
        "given back, those that came back mended, or sound in a later delivery. Days to repair: after how many days "
        "half of these had. Linkage: of the people and organisations that "
        "a department's records speak of, those that another department's speak of too; counted each "
        "night, in whole percent, not for fewer than twenty. Opened: datasets with a version on offer, products made "
        "from several departments' data too. A month's shares are as of its end, of what is agreed today.",
    ),
    "history": ("历史（按月）", "History, by month"),
    "month": ("月份", "Month"),
    "machine": ("机器可读", "For machines"),
    "print_note": ("由发布数据自动生成。", "Made from the releases."),
    "mode_public": ("完全公开共享", "public"),
    "mode_controlled": ("受控公开共享", "controlled"),
    "mode_enclave": ("领地公开共享", "enclave"),
    "kind_aggregate": ("汇总数据", "aggregated counts"),
    "kind_microdata": ("微数据", "single rows"),
}
