/* What the tables of an MSI cannot say: folders with access lists of their own, the
 * enrolment token in the private one, and their removal. The first two run at once, as
 * the user who installs, the others as LocalSystem.
 *
 *   CheckProperties  before anything is changed
 *   MarkUpgrade      the old version's EraseState finds the mark. Windows says it too
 *                    (UPGRADINGPRODUCTCODE), Wine does not, and a lost identity cannot be
 *                    mended
 *   WaitForService   until its process has ended, so that no file of it is in use
 *   PrepareFolders   CustomActionData is the token, which may be empty
 *   ForgetToken      when an installation is rolled back
 *   EraseState       CustomActionData is KEEPSTATE: if not empty, the state stays */
#define _WIN32_WINNT 0x0A00
#include <windows.h>
#include <aclapi.h>
#include <msi.h>
#include <msiquery.h>
#include <sddl.h>
#include <shlobj.h>
#include <stdio.h>

#define LONGEST 1024
#define SERVICE L"TowpathAgent"
#define LONGEST_STOP_MS 40000
#define LONGEST_TOKEN 1000
/* What the agent accepts (`Settings.ring`). */
#define LONGEST_RING 30
#define TOKEN_FILE L"Agent\\enrolment-token"
#define MARK_FILE L"Agent\\upgrading"
/* An older mark is of an upgrade that failed; in units of 100 ns. */
#define MARK_AGE (3600ull * 10000000)
/* Owner: administrators. Full access for LocalSystem, administrators and LocalService, which
 * runs the agent. In the outer folder users may only pass through, list and read names. */
#define OUTER L"O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;LS)(A;;0x1200a9;;;BU)"
#define PRIVATE L"O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;LS)"

static void say(MSIHANDLE install, const wchar_t *text, const wchar_t *what, DWORD error)
{
    wchar_t line[LONGEST + 256];
    MSIHANDLE record = MsiCreateRecord(1);
    swprintf(line, LONGEST + 256, L"Towpath agent: %ls %ls (error %lu)", text, what, (unsigned long)error);
    MsiRecordSetStringW(record, 0, L"[1]");
    MsiRecordSetStringW(record, 1, line);
    MsiProcessMessage(install, INSTALLMESSAGE_INFO, record);
    MsiCloseHandle(record);
}

/* Writes the folder `Towpath` of Program Files or ProgramData, or what it has as NAME. */
static BOOL our_path(int folder, const wchar_t *name, wchar_t *path)
{
    wchar_t above[MAX_PATH];
    if (FAILED(SHGetFolderPathW(NULL, folder, NULL, 0, above)))
        return FALSE;
    return swprintf(path, LONGEST, L"%ls\\Towpath%ls%ls", above, *name ? L"\\" : L"", name) > 0;
}

static BOOL data_path(const wchar_t *name, wchar_t *path)
{
    return our_path(CSIDL_COMMON_APPDATA, name, path);
}

/* Whether it is the user of this process: LocalSystem, except under Wine. */
static BOOL is_own(PSID owner)
{
    BYTE buffer[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    DWORD size;
    HANDLE token;
    BOOL own = FALSE;

    if (OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        own = GetTokenInformation(token, TokenUser, buffer, sizeof buffer, &size) &&
              EqualSid(((TOKEN_USER *)buffer)->User.Sid, owner);
        CloseHandle(token);
    }
    return own;
}

/* Whether only the system, administrators or LocalService can have made it. */
static BOOL is_trusted(const wchar_t *path)
{
    static const WELL_KNOWN_SID_TYPE owners[] = {
        WinLocalSystemSid, WinBuiltinAdministratorsSid, WinLocalServiceSid};
    BYTE buffer[4096];
    DWORD size = 0;
    PSID owner = NULL;
    BOOL defaulted, trusted;
    DWORD kind = GetFileAttributesW(path);

    if (kind == INVALID_FILE_ATTRIBUTES || (kind & FILE_ATTRIBUTE_REPARSE_POINT) ||
        !(kind & FILE_ATTRIBUTE_DIRECTORY))
        return FALSE;
    if (!GetFileSecurityW(path, OWNER_SECURITY_INFORMATION, buffer, sizeof buffer, &size) ||
        !GetSecurityDescriptorOwner(buffer, &owner, &defaulted) || !owner)
        return FALSE;
    trusted = is_own(owner);
    for (size_t n = 0; n < sizeof owners / sizeof *owners; n++)
        trusted |= IsWellKnownSid(owner, owners[n]);
    return trusted;
}

/* Gives the folder, and what it holds, this access list. */
static DWORD set_access(const wchar_t *path, PSECURITY_DESCRIPTOR descriptor)
{
    SECURITY_INFORMATION kind = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    BOOL present, defaulted;
    PACL listed = NULL;
    DWORD error;

    /* A person may have made another one since it was moved aside. */
    if (!is_trusted(path))
        return ERROR_ACCESS_DENIED;
    if (!GetSecurityDescriptorDacl(descriptor, &present, &listed, &defaulted) || !listed)
        return ERROR_INVALID_ACL;
    error = SetNamedSecurityInfoW((LPWSTR)path, SE_FILE_OBJECT, kind, NULL, NULL, listed, NULL);
    /* Once more, because Wine's keeps what the folder itself has inherited. */
    if (!error && !SetFileSecurityW(path, kind, descriptor))
        error = GetLastError();
    return error;
}

/* Makes the folder, or gives the one that is there its access list. One that a person has
 * put there before is moved aside: what is in it is not the agent's. */
static DWORD prepare(MSIHANDLE install, const wchar_t *path, const wchar_t *access)
{
    SECURITY_ATTRIBUTES attributes = {sizeof attributes, NULL, FALSE};
    wchar_t aside[LONGEST];
    DWORD error = ERROR_SUCCESS;

    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(access, SDDL_REVISION_1,
                                                              &attributes.lpSecurityDescriptor, NULL))
        return GetLastError();
    if (GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES && !is_trusted(path)) {
        swprintf(aside, LONGEST, L"%ls.not-ours-%lu", path, (unsigned long)GetTickCount());
        say(install, L"moved aside what was not the installer's:", aside, 0);
        if (!MoveFileW(path, aside))
            error = GetLastError();
    }
    if (!error && !CreateDirectoryW(path, &attributes)) {
        error = GetLastError();
        if (error == ERROR_ALREADY_EXISTS)
            error = set_access(path, attributes.lpSecurityDescriptor);
    }
    LocalFree(attributes.lpSecurityDescriptor);
    return error;
}

/* Writes the token as UTF-8 with a line end, through a new file. */
static DWORD write_token(const wchar_t *path, const wchar_t *token)
{
    char text[LONGEST_TOKEN * 4];
    DWORD written, error = ERROR_SUCCESS;
    int length = WideCharToMultiByte(CP_UTF8, 0, token, -1, text, sizeof text - 1, NULL, NULL);

    if (length <= 0)
        return ERROR_INVALID_PARAMETER;
    text[length - 1] = '\n';
    DeleteFileW(path);
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        error = GetLastError();
    else if (!WriteFile(file, text, (DWORD)length, &written, NULL) || !FlushFileBuffers(file))
        error = GetLastError();
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    SecureZeroMemory(text, sizeof text);
    return error;
}

/* Deletes the folder and what is in it, without following links. */
static DWORD erase(const wchar_t *folder)
{
    wchar_t pattern[LONGEST], path[LONGEST];
    WIN32_FIND_DATAW entry;
    DWORD error = ERROR_SUCCESS;

    swprintf(pattern, LONGEST, L"%ls\\*", folder);
    HANDLE search = FindFirstFileW(pattern, &entry);
    if (search == INVALID_HANDLE_VALUE) {
        error = GetLastError();
        return error == ERROR_PATH_NOT_FOUND || error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
    }
    do {
        if (!wcscmp(entry.cFileName, L".") || !wcscmp(entry.cFileName, L".."))
            continue;
        if (swprintf(path, LONGEST, L"%ls\\%ls", folder, entry.cFileName) < 0)
            continue;
        BOOL is_folder = entry.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
        BOOL is_link = entry.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT;
        DWORD failed = ERROR_SUCCESS;
        if (is_folder && !is_link) {
            failed = erase(path);
        } else {
            SetFileAttributesW(path, FILE_ATTRIBUTE_NORMAL);
            if (!(is_folder ? RemoveDirectoryW(path) : DeleteFileW(path)))
                failed = GetLastError();
        }
        error = failed ? failed : error;
    } while (FindNextFileW(search, &entry));
    FindClose(search);
    return RemoveDirectoryW(folder) ? error : GetLastError();
}

/* Whether the property is short enough for the agent. */
static BOOL fits(MSIHANDLE install, const wchar_t *name, DWORD longest)
{
    wchar_t value[LONGEST_TOKEN + 1] = L"";
    DWORD length = longest + 1;
    UINT error = MsiGetPropertyW(install, name, value, &length);

    SecureZeroMemory(value, sizeof value);
    return error == ERROR_SUCCESS;
}

__declspec(dllexport) UINT __stdcall CheckProperties(MSIHANDLE install)
{
    if (!fits(install, L"TOKEN", LONGEST_TOKEN)) {
        say(install, L"TOKEN is longer than", L"1000 characters", ERROR_MORE_DATA);
        return ERROR_INSTALL_FAILURE;
    }
    if (!fits(install, L"RING", LONGEST_RING)) {
        say(install, L"RING is longer than", L"30 characters", ERROR_MORE_DATA);
        return ERROR_INSTALL_FAILURE;
    }
    return ERROR_SUCCESS;
}

__declspec(dllexport) UINT __stdcall WaitForService(MSIHANDLE install)
{
    SERVICE_STATUS_PROCESS status;
    DWORD size;
    HANDLE process = NULL;
    ULONGLONG started_ms = GetTickCount64();
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = manager ? OpenServiceW(manager, SERVICE, SERVICE_QUERY_STATUS) : NULL;

    while (service && GetTickCount64() - started_ms < LONGEST_STOP_MS) {
        if (!QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)&status, sizeof status, &size))
            break;
        if (!process && status.dwProcessId)
            process = OpenProcess(SYNCHRONIZE, FALSE, status.dwProcessId);
        if (status.dwCurrentState == SERVICE_STOPPED)
            break;
        Sleep(100);
    }
    if (process && WaitForSingleObject(process, 5000) != WAIT_OBJECT_0)
        say(install, L"the service still runs:", SERVICE, 0);
    if (process)
        CloseHandle(process);
    if (service)
        CloseServiceHandle(service);
    if (manager)
        CloseServiceHandle(manager);
    return ERROR_SUCCESS;
}

__declspec(dllexport) UINT __stdcall PrepareFolders(MSIHANDLE install)
{
    wchar_t path[LONGEST], token[LONGEST_TOKEN + 1] = L"";
    DWORD length = LONGEST_TOKEN + 1, error;

    if (MsiGetPropertyW(install, L"CustomActionData", token, &length) != ERROR_SUCCESS) {
        say(install, L"TOKEN is longer than", L"1000 characters", ERROR_MORE_DATA);
        return ERROR_INSTALL_FAILURE;
    }
    if (!data_path(L"", path))
        return ERROR_INSTALL_FAILURE;
    error = prepare(install, path, OUTER);
    if (!error && data_path(MARK_FILE, path))
        DeleteFileW(path);
    if (!error && data_path(L"Agent", path))
        error = prepare(install, path, PRIVATE);
    if (!error && *token && data_path(TOKEN_FILE, path))
        error = write_token(path, token);
    SecureZeroMemory(token, sizeof token);
    if (error)
        say(install, L"cannot prepare", path, error);
    return error ? ERROR_INSTALL_FAILURE : ERROR_SUCCESS;
}

__declspec(dllexport) UINT __stdcall ForgetToken(MSIHANDLE install)
{
    wchar_t path[LONGEST];
    (void)install;
    if (data_path(TOKEN_FILE, path))
        DeleteFileW(path);
    return ERROR_SUCCESS;
}

__declspec(dllexport) UINT __stdcall MarkUpgrade(MSIHANDLE install)
{
    wchar_t path[LONGEST];
    (void)install;
    if (data_path(MARK_FILE, path)) {
        DeleteFileW(path);
        HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
        if (file != INVALID_HANDLE_VALUE)
            CloseHandle(file);
    }
    return ERROR_SUCCESS;
}

static BOOL is_upgrading(void)
{
    wchar_t path[LONGEST];
    WIN32_FILE_ATTRIBUTE_DATA mark;
    ULARGE_INTEGER made, now;
    FILETIME time;

    if (!data_path(MARK_FILE, path) || !GetFileAttributesExW(path, GetFileExInfoStandard, &mark))
        return FALSE;
    GetSystemTimeAsFileTime(&time);
    made.LowPart = mark.ftLastWriteTime.dwLowDateTime;
    made.HighPart = mark.ftLastWriteTime.dwHighDateTime;
    now.LowPart = time.dwLowDateTime;
    now.HighPart = time.dwHighDateTime;
    return now.QuadPart - made.QuadPart < MARK_AGE;
}

__declspec(dllexport) UINT __stdcall EraseState(MSIHANDLE install)
{
    static const wchar_t *const folders[] = {L"requests", L"shown", L"Agent"};
    wchar_t path[LONGEST], keep[16] = L"";
    DWORD length = 16, error;

    if (MsiGetPropertyW(install, L"CustomActionData", keep, &length) != ERROR_SUCCESS)
        wcscpy(keep, L"1");
    if (is_upgrading())
        return ERROR_SUCCESS;
    for (size_t n = 0; n < (*keep ? 2 : 3); n++)
        if (data_path(folders[n], path) && (error = erase(path)) != ERROR_SUCCESS)
            say(install, L"could not remove all of", path, error);
    /* Only if they are empty. */
    if (data_path(L"", path))
        RemoveDirectoryW(path);
    if (our_path(CSIDL_PROGRAM_FILES, L"", path))
        RemoveDirectoryW(path);
    return ERROR_SUCCESS;
}
