"""What departments are called: on pages and in descriptions alike."""

from __future__ import annotations

from jobs.contract import Text

# Departments by the first part of a dataset's name; one that is not here is named by its own words.
DEPARTMENTS = {
    "agriculture": Text(zh="农业农村部门", en="Agriculture"),
    "civil_affairs": Text(zh="民政部门", en="Civil affairs"),
    "development_reform": Text(zh="发展改革部门", en="Development and reform"),
    "disabled_persons_federation": Text(zh="残疾人联合会", en="Disabled persons' federation"),
    "education": Text(zh="教育部门", en="Education"),
    "environment": Text(zh="生态环境部门", en="Environment"),
    "health": Text(zh="卫生健康部门", en="Health"),
    "human_resources": Text(zh="人力资源部门", en="Human resources"),
    "market_regulation": Text(zh="市场监管部门", en="Market regulation"),
    "natural_resources": Text(zh="自然资源部门", en="Natural resources"),
    "products": Text(zh="数据湖（跨部门产品）", en="Data lake (products of several departments)"),
    "public_security": Text(zh="公安部门", en="Public security"),
    "social_security": Text(zh="社会保障部门", en="Social security"),
    "staffing_commission": Text(zh="机构编制部门", en="Staffing commission"),
    "statistics": Text(zh="统计部门", en="Statistics"),
    "taxation": Text(zh="税务部门", en="Taxation"),
    "transport": Text(zh="交通运输部门", en="Transport"),
}


def department(dataset: str) -> Text:
    """Return the name of the department a dataset belongs to."""
    first = dataset.partition("/")[0]
    words = first.replace("_", " ").capitalize()
    return DEPARTMENTS.get(first, Text(zh=words, en=words))
