"""What the command line says in Chinese: one table from the English of the sources to the Chinese of it. Loaded when needed.

``{…}`` stand for facts and must be the same on both sides. What is not here is said in English.
"""

# ruff: noqa: E501, RUF001 -- an entry is a line, and Chinese has punctuation of its own

from __future__ import annotations

import re
from functools import cache
from typing import Final

__all__ = ["TEXTS", "translated"]

_HELP: Final[dict[str, str]] = {
    "Usage: ": "用法: ",
    "Options": "选项",
    "Commands": "命令",
    "Examples": "示例",
    "Show this message and exit.": "显示本帮助并退出。",
    "Durable workflows: they survive crashes, restarts and power cuts.": "持久化工作流：崩溃、重启、断电之后都能继续。",
    "Say more: -v logs, -vv logs and tracebacks.": "输出更多：-v 日志，-vv 日志和调用栈。",
    "Speak English or Chinese to people. [default: the locale's]": "对人说英文或中文。[默认：随系统语言]",
    "Say which version this is.": "显示版本。",
    "Run a small example and watch it.": "运行一个小示例并观看过程。",
    "Make a small project to begin with.": "生成一个起步用的小项目。",
    "Run a workflow again whenever it is saved.": "每次保存后重新运行工作流。",
    "Run a workflow here and now, or go on with one.": "就地运行一个工作流，或继续未完成的执行。",
    "Check, keep, show and run workflows.": "检查、保存、查看和运行工作流。",
    "See and control executions.": "查看和控制执行。",
    "Decide, try again, skip or stop one task.": "决定、重试、跳过或停止单个任务。",
    "What an error code means, and what to do.": "错误码的含义和处理办法。",
    "Look whether this place and this database are fine.": "检查运行环境和数据库是否正常。",
    "Check, back up and prune the database.": "检查、备份和清理数据库。",
    "What a shell needs to complete commands and ids.": "生成 shell 的自动补全脚本。",
    "The form of what is printed.": "输出格式。",
    "The SQLite file that keeps executions.": "保存执行记录的 SQLite 文件。",
    "Who is asking. [default: the login name]": "操作人，写入历史。[默认：登录名]",
}
_RUN: Final[dict[str, str]] = {
    "Run the workflow in FILE here and now, and follow it to its end.\n\nEverything is recorded in the database: after a crash, "
    "a reboot or Ctrl-C, --resume goes on where it stopped.": "就地运行 FILE 中的工作流，并跟踪到结束。\n\n"
    "一切都记录在数据库中：崩溃、重启或 Ctrl-C 之后，用 --resume 从中断处继续。",
    "A value of the input, or a JSON file (@- is stdin). Repeatable.": "一个输入值，或一个 JSON 文件（@- 为标准输入），可重复。",
    "Start nothing; go on with this execution, or with the newest unfinished one. FILE may be left out.": "不启动新的执行，"
    "而是继续这个执行或最近一个未完成的执行；可以省略 FILE。",
    "Keep a changed document as the next version, whatever version it names.": "文档有改动时保存为下一个版本，不管它写的版本号。",
    "Show progress on stderr: live on a terminal, lines in a pipe.": "在标准错误显示进度：终端上实时刷新，管道中逐行输出。",
    "Lines instead of a live picture, also on a terminal.": "在终端上也逐行输出，不刷新画面。",
    "Stop after so long (30s, 10m); --resume goes on.": "到时停止（30s、10m），之后可用 --resume 继续。",
    "How long a stop lets running attempts finish before they are given back.": "停止时给正在运行的任务多长时间收尾。",
    "table: the output; json, yaml: the execution; name: its id.": "table：输出值；json、yaml：整个执行；name：执行的标识。",
}
_WORKFLOW: Final[dict[str, str]] = {
    "Check, keep, show and run workflows. A WORKFLOW is a name or an id; of an id, four characters will do.": "检查、"
    "保存、查看和运行工作流。WORKFLOW 是完整的名称，或标识（可以只写开头或结尾的四个以上字符）。",
    "Say what is wrong with documents, and where.": "指出文档中的错误及其位置。",
    "Keep documents in the database.": "把工作流文档保存到数据库。",
    "The workflows that the database keeps.": "列出数据库中的工作流。",
    "One workflow, its steps and its executions.": "查看一个工作流的步骤和执行情况。",
    "Run a kept workflow here and now.": "就地运行一个已保存的工作流。",
    "Every version of a workflow.": "一个工作流的所有版本。",
    "Print a kept workflow as a document.": "把已保存的工作流输出为文档。",
    "Check workflow documents without running them.\n\nExits with 0 when all of them can be run, with 8 when one has an error, "
    "with 3 when one is not there.": "检查工作流文档，不运行。\n\n全部可以运行时退出码为 0，有错误时为 8，文件不存在时为 3。",
    "name: the files that can be run.": "name：可以运行的文件。",
    "Check workflow documents and keep them in the database: all of them, or none when one has an error.\n\n"
    "A document without a version gets the next number when it changed. Functions named by file are looked for beside the "
    "document.": "检查工作流文档并保存到数据库：要么全部保存，要么（有一个出错时）都不保存。\n\n"
    "没有版本号的文档改动后得到下一个版本号。按文件引用的函数在文档旁边查找。",
    "name: the workflows' ids.": "name：工作流的标识。",
    "List the workflows that the database keeps, by name.": "按名称列出数据库中的工作流。",
    "How many; 0 for all.": "最多显示多少个，0 为全部。",
    "Show a workflow (name or id): its steps, and what became of its executions.": "查看一个工作流（名称或标识）的步骤和执行结果。",
    "This version instead of the latest.": "指定版本，而不是最新版本。",
    "Run a workflow that the database keeps, here and now, and follow it to its end.": "就地运行数据库中的工作流，并跟踪到结束。",
    "0 to 9, 9 first; instead of the document's.": "0 到 9，9 最先，代替文档中的优先级。",
    "List the versions of a workflow, the latest first.": "列出一个工作流的版本，最新的在前。",
    "Print a workflow (name or id) as the document that says the same: checked, normalised, without comments.": "把工作流（名称或标识）"
    "输出为等价的文档：已检查、规范化、不含注释。",
    "The form of the document.": "文档的格式。",
    "Draw a document as text, Mermaid or SVG.": "把文档画成文本图、Mermaid 或 SVG。",
    "Draw the workflow in FILE: its steps, what they wait for, their conditions and joins.\n\nA document with errors is not drawn; "
    "they are shown instead, and the command exits with 8.": "画出 FILE 中的工作流：步骤、依赖、条件和汇合方式。\n\n"
    "有错误的文档不画图，只显示错误，退出码为 8。",
    "ascii: for terminals; mermaid: for Markdown; svg: a picture.": "ascii：用于终端；mermaid：用于 Markdown；svg：图片。",
    "Print the JSON Schema of documents.": "输出工作流文档的 JSON Schema。",
    "Print the JSON Schema (draft 2020-12) of workflow documents.\n\nEditors complete and check documents with it: name the file in "
    "a first line `# yaml-language-server: $schema=FILE`.": "输出工作流文档的 JSON Schema（draft 2020-12）。\n\n"
    "编辑器用它补全和检查文档：在第一行写 `# yaml-language-server: $schema=FILE`。",
}
_INSTANCE: Final[dict[str, str]] = {
    "See and control executions.\n\nAn ID may be cut to four or more characters of its beginning or end; @latest is the newest "
    "execution, @failed the newest that failed, key:KEY the open one with that business key.": "查看和控制执行。\n\n"
    "标识可以只写开头或结尾的四个以上字符；@latest 是最近的执行，@failed 是最近失败的执行，key:KEY 是业务键为 KEY 且尚未结束的执行。",
    "The newest executions.": "最近的执行。",
    "One execution and its tasks; --task tells one task's story.": "一个执行及其任务；--task 查看单个任务的经过。",
    "The executions of one workflow, with what ended them.": "一个工作流的执行历史和出错原因。",
    "Every task of one execution.": "一个执行的所有任务。",
    "Why one execution is not further, and what moves it.": "执行为什么没有继续，怎样让它继续。",
    "Follow one execution to its end.": "跟踪一个执行直到结束。",
    "The history of one execution.": "一个执行的事件历史。",
    "Start nothing new; what runs may finish.": "不再启动新任务，正在运行的可以结束。",
    "End a pause.": "结束暂停。",
    "Ask what runs to stop, then end.": "请求正在运行的任务停止，然后结束。",
    "End at once.": "立即结束。",
    "Try again what failed or was cancelled.": "重试失败或被取消的任务。",
    "Give variables new values.": "修改变量的值。",
    "Begin a new execution in the middle of this one.": "从这个执行的中途开始一个新的执行。",
    "Start a new execution from the history of one up to a step; the first one stays as it is.\n\nWhat had ended before the step or "
    "beside it is taken over with what it gave and is not performed again.": "从一个执行到某一步为止的历史开始一个新的执行，原来的执行不变。\n\n"
    "这一步之前或旁边已经结束的步骤连同结果一起沿用，不再执行。",
    "The step that begins anew, with all after it; / for all steps.": "从这一步起（连同其后的步骤）重新开始；/ 表示所有步骤。",
    "A value of the input that is another one now. Repeatable.": "改动的输入值，可重复。",
    "This version of the workflow (latest is one) instead of the same.": "使用工作流的这个版本（可以写 latest），而不是原来的版本。",
    "What is different between two executions.": "两个执行之间的差别。",
    "Say what is different between two executions: version, input, variables, and task by task status, attempts, error and output.\n\n"
    "Of an input or an output the first place that differs is shown.": "说明两个执行的差别：版本、输入、变量，以及每个任务的状态、尝试次数、错误和输出。\n\n"
    "输入和输出只显示第一个不同之处。",
    "Also what is the same.": "也显示相同的部分。",
    "Send a message to waiting steps.": "给等待中的步骤发送信号。",
    "Also executions that others started.": "也显示由其他执行启动的执行。",
    "List executions, newest first. Those that others started are left out; --all, --workflow and --business-key show them.\n\nDURATION is the time from start to end on the clock: pauses, waits and times without a process "
    "are in it.": "列出执行，最新的在前。由其他执行启动的不列出；--all、--workflow 和 --business-key 会显示它们。\n\nDURATION 是从开始到结束的实际时间，包括暂停、等待和没有进程的时间。",
    "Only these: running, waiting, paused, completed, failed, cancelled.": "只显示这些状态：running, waiting, paused, completed, "
    "failed, cancelled。",
    "Only executions with this business key.": "只显示业务键为 KEY 的执行。",
    "Only executions of this workflow (name or id).": "只显示这个工作流（名称或标识）的执行。",
    "Show an execution: how far it is, and a line for each task.\n\nDURATION of a task is the time from its first attempt to its end: "
    "retries, pauses and times without a process are in it.": "查看一个执行的进度，每个任务一行。\n\n"
    "任务的 DURATION 是从第一次尝试到结束的实际时间，包括重试、暂停和没有进程的时间。",
    "One task, its story and why it is where it is: load or /load/.": "查看单个任务的经过和当前原因：load 或 /load/。",
    "A line for each task, however many there are.": "不论多少，每个任务都显示一行。",
    "Follow it to its end first; the exit code is its outcome.": "先跟踪到结束；退出码是执行的结果。",
    "List the executions of one workflow (name or id), newest first, with what ended them.": "列出一个工作流（名称或标识）的执行，"
    "最新的在前，附出错原因。",
    "Show every task of an execution: path, status, attempts, times, error.\n\nWhat a container opens has a line of its own: a branch, "
    "a case, an item, an iteration. It is no step, and is not counted.": "显示一个执行的所有任务：路径、状态、次数、时间、错误。\n\n"
    "容器打开的部分各占一行：分支、情形、项、迭代。它们不是步骤，不计入数目。",
    "Only tasks that are this now.": "只显示处于这些状态的任务。",
    "Say why an execution is not further, task by task, and what moves it.": "逐个任务说明执行为什么没有继续，以及怎样让它继续。",
    "A line for each open task, however many there are.": "不论多少，每个未结束的任务都显示一行。",
    "name: the ids of the tasks that are open.": "name：未结束任务的标识。",
    "Follow an execution to its end; the exit code is its outcome. Ctrl-C stops watching, not the execution.": "跟踪一个执行直到结束，"
    "退出码是它的结果。Ctrl-C 只停止观看，不影响执行。",
    "Stop watching after so long (30s, 10m) and exit with 124; the execution goes on.": "到时停止观看（30s、10m），退出码 124；执行继续。",
    "json, yaml: the execution at its end; name: its id.": "json、yaml：结束时的执行；name：执行的标识。",
    "Show what happened to an execution, in order.": "按顺序显示一个执行发生的事件。",
    "Only events after this number.": "只显示这个序号之后的事件。",
    "What the work of one execution said.": "一次执行的工作所输出的日志。",
    "Show what functions, scripts and calls have logged: their own lines, stdout and stderr, tracebacks.": (
        "显示函数、脚本和调用写下的日志：它们自己的日志行、标准输出与标准错误、异常回溯。"
    ),
    "Only this task: load or /load/.": "只看这个任务：load 或 /load/。",
    "Only lines after this one.": "只显示这一行之后的日志。",
    "Go on until the execution has ended.": "一直跟随，直到执行结束。",
    "Start nothing new in the execution, or in one task; what runs may finish.": "执行或单个任务不再启动新的工作，正在运行的可以结束。",
    "One task only: its step's id or path, load or /load/.": "只针对一个任务：步骤标识或路径，load 或 /load/。",
    "Why; kept in the history.": "原因，写入历史。",
    "End a pause. Clocks go on where they stood.": "结束暂停，计时从停下处继续。",
    "Ask what runs to stop; nothing new starts, and the execution ends as cancelled.": "请求正在运行的任务停止，不再启动新任务，执行以取消结束。",
    "End the execution at once, without waiting for what runs.": "立即结束执行，不等待正在运行的任务。",
    "Try again what failed or was cancelled, with the recorded inputs; what was completed stays.": "用记录的输入重试失败或被取消的任务，"
    "已完成的保持不变。",
    "Then undo what was done, where the steps say how.": "然后撤销已做的事（步骤写明怎样撤销时）。",
    "Send SIGNAL to the steps of the execution that wait for it; an early one waits for them.": "把 SIGNAL 发给等待它的步骤；"
    "提前到达的信号会保留。",
    "Give variables of an execution that goes on new values; steps that begin later see them.\n\nA VALUE is a number, true, a list, an object or null in JSON, or else text; "
    "@FILE holds a JSON object. What has begun keeps the\ninputs that it was given.": "修改正在进行的执行的变量，之后开始的步骤会看到新值。\n\n"
    "VALUE 是 JSON 的数字、true、列表、对象或 null，否则是文本；@FILE 是含 JSON 对象的文件。已经开始的步骤保留原来的输入。",
    "What it carries: JSON, or a file with JSON.": "信号的数据：JSON，或 JSON 文件。",
    "Sending the same KEY again changes nothing.": "用相同的 KEY 重复发送不会有任何改变。",
}
_SAID: Final[dict[str, str]] = {
    "error": "错误",
    "warning": "警告",
    "valid": "有效",
    "no process": "无进程",
    "no process: nothing runs it or would take it up; to go on with the newest: {command}": "无进程：没有进程在运行或会接手；"
    "继续最近的一个: {command}",
    "{file} has changed ({what}): {execution} goes on with version {version}, which it began with": "{file} 已改动（{what}）："
    "{execution} 仍按开始时的版本 {version} 继续",
    "version {version}": "版本 {version}",
    "a version that is not kept yet": "尚未保存的版本",
    "a new run takes the file as it is": "新的执行使用当前文件",
    "hint": "提示",
    "next": "下一步",
    "next:": "下一步:",
    "go on": "继续",
    "see why": "查看原因",
    "try again": "重试",
    "your turn:": "轮到你了:",
    "(then change shop.py and save)": "（然后修改 shop.py 并保存）",
    "Progress": "进度",
    "so far": "（目前）",
    "Progress: no tasks": "进度: 没有任务",
    "Error": "错误",
    "Output": "输出",
    "started {at}": "开始于 {at}",
    "{age} ago": "{age} 之前",
    "just now": "刚刚",
    "took {duration}": "用时 {duration}",
    "for {duration}": "已进行 {duration}",
    "{duration} of it paused": "其中暂停 {duration}",
    "{shown} of {total} tasks shown, those that need attention; --all shows every one": "只显示 {total} 个任务中需要注意的 {shown} 个；"
    "--all 显示全部",
    "{shown} of {total} shown; -o json shows every one": "显示 {total} 个中的 {shown} 个；-o json 显示全部",
    "steps": "个步骤",
    "and {count} more": "还有 {count} 个",
    "failed too, but did not decide it": "也失败了，但不是决定性的",
    "failed, and was tolerated or handled": "失败，但被容许或处理",
    "correct the document, then": "改正文档，然后",
    "it has ended already: {status}": "已经结束: {status}",
    "has a new round:": "开始了新一轮:",
    "{steps} waits for {name}, but its filter does not take what is kept: {filter} (`event` is the data)": "{steps} 等待 {name}，"
    "但它的过滤条件不接受已保留的信号: {filter}（`event` 是信号的数据）",
    "ID": "标识",
    "WORKFLOW": "工作流",
    "VERSION": "版本",
    "STATUS": "状态",
    "PROGRESS": "进度",
    "STARTED": "开始",
    "DURATION": "用时",
    "ERROR": "错误",
    "PATH": "路径",
    "TYPE": "类型",
    "ATTEMPT": "次数",
    "TASK": "任务",
    "NAME": "名称",
    "PART": "部分",
    "SEQ": "序号",
    "AT": "时间",
    "WHAT": "内容",
    "BY": "操作者",
    "DATA": "数据",
    "TASKS": "任务数",
    "CREATED": "创建",
    "RUNS": "执行次数",
    "LAST": "最近",
    "STEP": "步骤",
    "AFTER": "前置",
    "UNTIL": "直到",
    "WHY": "原因",
    "CODE": "代码",
    "SEVERITY": "级别",
    "uploaded": "已上传",
    "unchanged": "无变化",
    "nothing was uploaded": "没有上传任何文档",
    "there are more; --limit 0 for all": "还有更多；--limit 0 显示全部",
    "no workflows yet; to keep one: {command}": "还没有工作流；保存一个: {command}",
    "showing {shown} of {total}; --limit 0 for all": "显示 {total} 个中的 {shown} 个；--limit 0 显示全部",
    "showing {shown} of {total}; --all shows every one": "显示 {total} 个中的 {shown} 个；--all 显示全部",
    "No process runs it; to go on with it: {command}": "没有进程在运行它；继续执行: {command}",
    "only the watching ended; to watch again: {command}": "只是停止了观看；再次观看: {command}",
    "pending": "待运行",
    "running": "运行中",
    "waiting": "等待中",
    "paused": "已暂停",
    "completed": "已完成",
    "failed": "失败",
    "cancelled": "已取消",
    "skipped": "已跳过",
    "resumed": "已继续",
    "cancelling": "正在取消",
    "approved": "已同意",
    "rejected": "已拒绝",
    "goes on without": "已跳过，继续:",
    "terminated": "已终止",
    "has a new round": "开始了新一轮",
    "has the signal {name}": "收到信号 {name}",
    "has new values: {names}": "已有新值: {names}",
    "is a fork of {origin}, from {path} on": "是 {origin} 的分叉，从 {path} 开始",
    "fork of {origin}, from {path} on": "{origin} 的分叉，从 {path} 开始",
    "no differences": "没有差别",
    "now: {counts}": "当前: {counts}",
    "it has ended again already: {status}{error}": "已经再次结束: {status}{error}",
    "none": "无",
    "no step waits for {name} just now: it is kept until one does": "现在没有步骤等待 {name}：信号会保留到有步骤等待时",
    "no open step of this workflow waits for {name}: it is kept all the same (they wait for: {there})": "这个工作流没有未结束的步骤"
    "等待 {name}：信号仍然保留（它们等待: {there}）",
    "nothing is lost": "没有丢失任何进度",
    "interrupted": "已中断",
    "timed out": "已超时",
}
_USAGE: Final[dict[str, str]] = {
    "Missing argument 'FILE'. Name a workflow document, or --resume ID to go on with an execution.": "缺少参数 FILE：请指定工作流文档，"
    "或用 --resume ID 继续一个执行。",
    "--resume goes on with the input it was started with; leave --input out.": "--resume 使用启动时的输入；请去掉 --input。",
    "--watch follows a whole execution; leave --task out.": "--watch 跟踪整个执行；请去掉 --task。",
}
# Messages and hints of errors; they come from rooms that know no language.
_ERRORS: Final[dict[str, str]] = {
    "there is no execution {word}": "没有执行 {word}",
    "there are no executions yet": "还没有任何执行",
    "no execution has failed": "没有失败的执行",
    '"{word}" is no execution\'s id': "“{word}”不是执行的标识",
    '"{word}" is part of several ids': "“{word}”匹配多个标识",
    "the newest: {found}": "最近的: {found}",
    "write one of them: {found}": "请写明其中之一: {found}",
    "there are no executions in this database": "这个数据库中没有执行",
    "there is no workflow {word}": "没有工作流 {word}",
    "did you mean {word}?": "是不是 {word}？",
    "there is no database {path}": "没有数据库 {path}",
    "there is no file {file}": "没有文件 {file}",
    "there is no task {path} in this execution": "这个执行中没有任务 {path}",
    "{path} is paused already": "{path} 已经暂停",
    "cannot {what} an execution that is {status}": "执行已是 {status}，不能 {what}",
    "nothing here has failed or was cancelled": "没有失败或被取消的任务",
    "{execution} is {status}": "{execution} 的状态是 {status}",
}
TEXTS: Final[dict[str, str]] = {**_HELP, **_RUN, **_WORKFLOW, **_INSTANCE, **_SAID, **_USAGE, **_ERRORS}
_FACT: Final = re.compile(r"\{(\w+)\}")


def translated(text: str) -> str:
    """A text whose facts are filled in already: found by the shape of the English one."""
    if text in TEXTS:
        return TEXTS[text]
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            facts = found.groupdict()
            return chinese.format(**{name: TEXTS.get(fact, fact) if name == "status" else fact for name, fact in facts.items()})
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Of errors alone, those with more fixed words first: they fit fewer texts."""
    shapes = sorted(_ERRORS.items(), key=lambda one: -len(_FACT.sub("", one[0])))
    return tuple((re.compile(_shape(english), re.DOTALL), chinese) for english, chinese in shapes)


def _shape(english: str) -> str:
    parts = _FACT.split(english)
    return "".join(re.escape(part) if place % 2 == 0 else f"(?P<{part}>.*)" for place, part in enumerate(parts))
