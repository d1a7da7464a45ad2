# Run as administrator. Starts the agent for each user at logon and adds "Is it me?" to the
# Start menu. Not yet run on a real Windows machine.
param([string]$Folder = "$env:ProgramFiles\towpath-agent")
$ErrorActionPreference = 'Stop'

$program = Join-Path $Folder 'Scripts\towpath-agent.exe'
# pythonw.exe opens no console window. -I: it imports nothing from the folder it starts in.
$quiet = Join-Path $Folder 'Scripts\pythonw.exe'
if (-not (Test-Path $program)) { throw "$program was not found" }

# Users can read this file but not change it, so the agent cannot remove the token.
$file = Join-Path $env:ProgramData 'towpath-agent\agent.toml'
if ((Test-Path $file) -and (Select-String -Path $file -Pattern '^\s*enrolment_token\s*=' -Quiet)) {
    Write-Warning "$file contains the enrolment token, and everybody on this machine can read it. Remove it, and enrol each user with: towpath-agent enrol --token-file"
}

# The group of all users, by its identifier, because its name depends on the language.
$users = New-ScheduledTaskPrincipal -GroupId 'S-1-5-32-545' -RunLevel Limited
$action = New-ScheduledTaskAction -Execute $quiet -Argument '-I -m probes.agent.agent_cli run'
$trigger = New-ScheduledTaskTrigger -AtLogOn
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) `
    -MultipleInstances Parallel -Priority 8
Register-ScheduledTask -TaskName 'Towpath agent' -Action $action -Trigger $trigger `
    -Principal $users -Settings $settings -Force | Out-Null

$menu = [Environment]::GetFolderPath('CommonPrograms')
$link = (New-Object -ComObject WScript.Shell).CreateShortcut((Join-Path $menu 'Is it me.lnk'))
$link.TargetPath = $quiet
$link.Arguments = '-I -m probes.agent.agent_cli is-it-me'
$link.Description = 'Check the connection from this laptop and see what to do'
$link.Save()
