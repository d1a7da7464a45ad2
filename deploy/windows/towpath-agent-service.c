/* The Windows service of the Towpath agent: starts the agent as a child without a window,
 * starts it again when it ends, and stops it with the service.
 *
 *   towpath-agent-service.exe             started by the Service Control Manager
 *   towpath-agent-service.exe is-it-me    opens the page for the person (Start menu)
 *
 * The child reads its standard input: a line "resumed" after a sleep, and the end of input
 * to stop. All paths come from the place of this program, never from the environment. */
#define _WIN32_WINNT 0x0A00
#include <windows.h>
#include <stdio.h>

#define NAME L"TowpathAgent"
#define EVENT_SOURCE L"Towpath agent"
#define LONGEST 32768
#define LONGEST_EVENT 500u
#define FIRST_WAIT_MS 10000u
#define LONGEST_WAIT_MS 900000u
/* A child that ran this long was well: the next wait is short again. */
#define WELL_MS 600000u
/* The agent stops within two seconds; a slow disk gets more. */
#define STOP_MS 15000u

static SERVICE_STATUS_HANDLE status_handle;
static SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, SERVICE_START_PENDING, 0, 0, 0, 0, 0};
static HANDLE stopping, resumed;

typedef struct {
    HANDLE process, input;
} Child;

static void report(DWORD state, DWORD hint_ms, DWORD error)
{
    status.dwCurrentState = state;
    status.dwWin32ExitCode = error;
    status.dwWaitHint = hint_ms;
    status.dwControlsAccepted = state == SERVICE_RUNNING
        ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_POWEREVENT : 0;
    if (status_handle)
        SetServiceStatus(status_handle, &status);
}

static void write_event(WORD kind, DWORD number, const wchar_t *text, DWORD value)
{
    wchar_t line[LONGEST_EVENT];
    const wchar_t *lines[1] = {line};
    HANDLE source = RegisterEventSourceW(NULL, EVENT_SOURCE);
    if (!source)
        return;
    swprintf(line, LONGEST_EVENT, L"%ls (%lu)", text, (unsigned long)value);
    ReportEventW(source, kind, 0, number, NULL, 1, 0, lines, NULL);
    DeregisterEventSource(source);
}

/* Writes the folder of this program, with its last backslash. */
static BOOL own_folder(wchar_t *folder)
{
    DWORD length = GetModuleFileNameW(NULL, folder, LONGEST);
    if (length == 0 || length >= LONGEST)
        return FALSE;
    while (length > 0 && folder[length - 1] != L'\\')
        length--;
    folder[length] = 0;
    return length > 0;
}

/* Starts the agent with `arguments`. It inherits `input`, and nothing else. */
static BOOL start(const wchar_t *arguments, HANDLE input, DWORD flags, PROCESS_INFORMATION *started)
{
    static wchar_t folder[LONGEST], program[LONGEST], line[LONGEST];
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    STARTUPINFOEXW how = {0};
    HANDLE handles[2];
    SIZE_T size = 0;
    BOOL done = FALSE;

    if (!own_folder(folder))
        return FALSE;
    if (swprintf(program, LONGEST, L"%lspython\\python.exe", folder) < 0 ||
        swprintf(line, LONGEST, L"\"%ls\" -I -B -m probes.agent.agent_cli %ls", program, arguments) < 0)
        return FALSE;
    HANDLE nowhere = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE,
                                 FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0, NULL);
    if (nowhere == INVALID_HANDLE_VALUE)
        return FALSE;
    handles[0] = nowhere;
    handles[1] = input;
    how.StartupInfo.cb = sizeof how;
    how.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    how.StartupInfo.hStdInput = input ? input : nowhere;
    how.StartupInfo.hStdOutput = how.StartupInfo.hStdError = nowhere;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    how.lpAttributeList = HeapAlloc(GetProcessHeap(), 0, size);
    if (how.lpAttributeList && InitializeProcThreadAttributeList(how.lpAttributeList, 1, 0, &size)) {
        if (UpdateProcThreadAttribute(how.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles,
                                      (input ? 2 : 1) * sizeof(HANDLE), NULL, NULL))
            done = CreateProcessW(program, line, NULL, NULL, TRUE,
                                  flags | CREATE_NO_WINDOW | EXTENDED_STARTUPINFO_PRESENT, NULL, folder,
                                  &how.StartupInfo, started);
        DWORD error = GetLastError();
        DeleteProcThreadAttributeList(how.lpAttributeList);
        SetLastError(error);
    }
    DWORD error = GetLastError();
    if (how.lpAttributeList)
        HeapFree(GetProcessHeap(), 0, how.lpAttributeList);
    CloseHandle(nowhere);
    SetLastError(error);
    return done;
}

static BOOL start_child(HANDLE job, Child *child)
{
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    PROCESS_INFORMATION started;
    HANDLE reading;

    if (!CreatePipe(&reading, &child->input, &inherited, 0))
        return FALSE;
    SetHandleInformation(child->input, HANDLE_FLAG_INHERIT, 0);
    /* Suspended, so that nothing of it runs outside the job. */
    BOOL done = start(L"run --service", reading, CREATE_SUSPENDED | BELOW_NORMAL_PRIORITY_CLASS, &started);
    DWORD error = GetLastError();
    CloseHandle(reading);
    if (!done) {
        CloseHandle(child->input);
        SetLastError(error);
        return FALSE;
    }
    AssignProcessToJobObject(job, started.hProcess);
    ResumeThread(started.hThread);
    CloseHandle(started.hThread);
    child->process = started.hProcess;
    return TRUE;
}

/* Runs the child until it ends or the service is stopped. Returns whether it is stopped. */
static BOOL watch(HANDLE job, Child *child)
{
    HANDLE events[3] = {stopping, child->process, resumed};
    DWORD happened, code = 0, written;

    while ((happened = WaitForMultipleObjects(3, events, FALSE, INFINITE)) == WAIT_OBJECT_0 + 2)
        WriteFile(child->input, "resumed\n", 8, &written, NULL);
    CloseHandle(child->input);
    if (happened != WAIT_OBJECT_0 + 1) {
        report(SERVICE_STOP_PENDING, STOP_MS + 10000, NO_ERROR);
        if (WaitForSingleObject(child->process, STOP_MS) != WAIT_OBJECT_0) {
            write_event(EVENTLOG_WARNING_TYPE, 3, L"the agent did not stop and was ended after ms", STOP_MS);
            TerminateJobObject(job, 1);
            WaitForSingleObject(child->process, 5000);
        }
    } else if (GetExitCodeProcess(child->process, &code) && code != 0) {
        write_event(EVENTLOG_WARNING_TYPE, 3, L"the agent ended; agent.log has the reason. Its exit code", code);
    }
    CloseHandle(child->process);
    return happened != WAIT_OBJECT_0 + 1;
}

static DWORD WINAPI control(DWORD code, DWORD kind, LPVOID data, LPVOID context)
{
    (void)data, (void)context;
    switch (code) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        report(SERVICE_STOP_PENDING, STOP_MS + 10000, NO_ERROR);
        SetEvent(stopping);
        return NO_ERROR;
    case SERVICE_CONTROL_POWEREVENT:
        if (kind == PBT_APMRESUMEAUTOMATIC)
            SetEvent(resumed);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

static void WINAPI serve(DWORD count, LPWSTR *words)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    DWORD wait_ms = FIRST_WAIT_MS;

    (void)count, (void)words;
    status_handle = RegisterServiceCtrlHandlerExW(NAME, control, NULL);
    stopping = CreateEventW(NULL, TRUE, FALSE, NULL);
    resumed = CreateEventW(NULL, FALSE, FALSE, NULL);
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (!stopping || !resumed || !job) {
        report(SERVICE_STOPPED, 0, GetLastError());
        return;
    }
    /* If this program is ended, so is the agent. */
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    report(SERVICE_RUNNING, 0, NO_ERROR);
    while (WaitForSingleObject(stopping, 0) != WAIT_OBJECT_0) {
        Child child;
        ULONGLONG started_ms = GetTickCount64();
        if (!start_child(job, &child))
            write_event(EVENTLOG_ERROR_TYPE, 3, L"the agent cannot be started; error of Windows", GetLastError());
        else if (watch(job, &child))
            break;
        if (GetTickCount64() - started_ms > WELL_MS)
            wait_ms = FIRST_WAIT_MS;
        if (WaitForSingleObject(stopping, wait_ms) == WAIT_OBJECT_0)
            break;
        wait_ms = wait_ms * 2 < LONGEST_WAIT_MS ? wait_ms * 2 : LONGEST_WAIT_MS;
    }
    CloseHandle(job);
    report(SERVICE_STOPPED, 0, NO_ERROR);
}

int WINAPI wWinMain(HINSTANCE instance, HINSTANCE before, PWSTR line, int show)
{
    static SERVICE_TABLE_ENTRYW services[] = {{(LPWSTR)NAME, serve}, {NULL, NULL}};
    PROCESS_INFORMATION started;

    (void)instance, (void)before, (void)show;
    SetDllDirectoryW(L"");
    if (wcscmp(line, L"is-it-me") == 0) {
        if (!start(L"is-it-me", NULL, 0, &started))
            return (int)GetLastError();
        CloseHandle(started.hThread);
        CloseHandle(started.hProcess);
        return 0;
    }
    return StartServiceCtrlDispatcherW(services) ? 0 : (int)GetLastError();
}
