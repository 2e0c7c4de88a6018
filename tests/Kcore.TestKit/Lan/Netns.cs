using System.ComponentModel;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Kcore.TestKit.Processes;
using Microsoft.Win32.SafeHandles;

namespace Kcore.TestKit.Lan;

/// <summary>Network namespaces by name.</summary>
public static partial class Netns
{
    private const int CloneNewNet = 0x40000000;

    /// <summary>
    /// Runs the function on a thread of its own inside the namespace. A socket made there belongs to the namespace for
    /// its whole life, so it can be used from anywhere afterwards.
    /// </summary>
    public static T Run<T>(string name, Func<T> function)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        // A thread that has changed its namespace must never go back to a pool.
        Thread thread = new(() =>
        {
            try
            {
                using SafeFileHandle handle = File.OpenHandle($"/run/netns/{name}", options: FileOptions.None);
                if (SetNs(handle, CloneNewNet) != 0)
                {
                    throw new Win32Exception(Marshal.GetLastPInvokeError(), $"setns {name}");
                }

                result = function();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>Sets a sysctl (path below /proc/sys) of the namespace; false when this kernel does not have it.</summary>
    public static bool Sysctl(string name, string path, string value) => Run(name, () =>
    {
        string file = "/proc/sys/" + path;
        if (!File.Exists(file))
        {
            return false;
        }

        File.WriteAllText(file, value);
        return true;
    });

    public static string ReadSysctl(string name, string path) =>
        Run(name, () => File.ReadAllText("/proc/sys/" + path).Trim());

    /// <summary>Runs a program inside the namespace.</summary>
    public static Task<CommandResult> ExecAsync(string name, params IReadOnlyList<string> command) =>
        Command.RunAsync("ip", ["netns", "exec", name, .. command]);

    internal static async Task AddAsync(string name)
    {
        await Command.OutputAsync("ip", "netns", "add", name);
        // A new namespace inherits forwarding from the machine, and where br_netfilter is loaded it is on:
        // bridged frames would pass the IP hooks. Both are set to what a plain Debian host has.
        Sysctl(name, "net/ipv4/ip_forward", "0");
        foreach (string family in (string[])["iptables", "ip6tables", "arptables"])
        {
            Sysctl(name, $"net/bridge/bridge-nf-call-{family}", "0");
        }

        await Command.OutputAsync("ip", "-n", name, "link", "set", "lo", "up");
    }

    /// <summary>Ends every process inside, then removes the name. Absence is success.</summary>
    internal static async Task DeleteAsync(string name)
    {
        CommandResult pids = await Command.RunAsync("ip", ["netns", "pids", name]);
        if (pids.ExitCode == 0)
        {
            foreach (string pid in pids.Stdout.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                await Command.RunAsync("kill", ["-9", pid.Trim()]);
            }
        }

        await Command.RunAsync("ip", ["netns", "del", name]);
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNs(SafeFileHandle fd, int type);
}
