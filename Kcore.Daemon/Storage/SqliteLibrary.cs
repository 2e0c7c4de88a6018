using System.Reflection;
using System.Runtime.InteropServices;
using SQLitePCL;

namespace Kcore.Daemon.Storage;

/// <summary>Binds SQLite to the distribution's own library (docs/decisions/sqlite.md).</summary>
internal static class SqliteLibrary
{
    private const string SystemLibrary = "libsqlite3.so.0";

    private static readonly Lock Once = new();
    private static bool _bound;

    public static void Bind()
    {
        lock (Once)
        {
            if (_bound)
            {
                return;
            }

            NativeLibrary.SetDllImportResolver(typeof(SQLite3Provider_e_sqlite3).Assembly, Resolve);
            raw.SetProvider(new SQLite3Provider_e_sqlite3());
            raw.FreezeProvider();
            _bound = true;
        }
    }

    private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? path) =>
        name == "e_sqlite3" ? NativeLibrary.Load(SystemLibrary) : IntPtr.Zero;
}
